// An exact range of time: what one day costs of what all of it costs, for its share; out of a directory and from snap serve.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chosenWorks } from './context.mjs'
import { row, without } from './measure.mjs'
import { startServe } from './serve.mjs'

export async function range(context) {
  const { start, end, folder } = context.data
  const length = Math.min(86_400, (end - start) / 2)
  const middle = Math.floor((start + end - length) / 2)
  const time = (seconds) => new Date(seconds * 1000).toISOString()
  const day = ['--start', time(middle), '--end', time(middle + length)]
  const directory = join(folder, 'data')
  const served = await startServe(directory)
  try {
    const sources = {
      'a directory': ['--data-dir', directory],
      'snap serve': ['--host', served.host],
    }
    const works = {}
    for (const [name, source] of Object.entries(sources)) {
      works[`export of one day into a set, from ${name}`] = [...source, ...day]
      works[`export of one day, lp, from ${name}`] = ['--format', 'lp', ...source, ...day]
    }
    const rows = []
    for (const [work, words] of Object.entries(chosenWorks(works, context.works))) {
      rows.push(await partOfAll(context, { work, words, day, share: length / (end - start) }))
    }
    return rows
  } finally {
    await served.stop()
  }
}

/** Text goes nowhere, as the disk would be measured with it. */
async function partOfAll({ snap, at, alternate, startUp }, { work, words, day, share }) {
  const target = words.includes('lp') ? '-' : at('range')
  const into = (selected) => async () => {
    const cost = await snap(['export', '--quiet', ...selected, target])
    await rm(at('range'), { recursive: true, force: true })
    return cost
  }
  const all = words.filter((word) => !day.includes(word))
  const { ours, theirs } = await alternate({ ours: into(words), theirs: into(all) })
  return row(work, {
    ...{ against: 'all of it, for its share', ours, theirs, atMost: 1.3 },
    figure: without(startUp, ours).seconds / without(startUp, theirs).seconds / share,
  })
}
