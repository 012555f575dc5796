// An exact range of time: what one day costs of what all of it costs.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { row, without } from './measure.mjs'

export async function range({ snap, at, alternate, data, startUp }) {
  const from = ['export', '--quiet', '--data-dir', join(data.folder, 'data')]
  const { start, end } = data
  const length = Math.min(86_400, (end - start) / 2)
  const middle = Math.floor((start + end - length) / 2)
  const time = (seconds) => new Date(seconds * 1000).toISOString()
  const part = ['--start', time(middle), '--end', time(middle + length)]
  const into =
    (...words) =>
    async () => {
      const cost = await snap([...from, ...words, at('range')])
      await rm(at('range'), { recursive: true })
      return cost
    }
  const costs = await alternate({
    all: into(),
    part: into(...part),
    allText: into('--format', 'lp'),
    partText: into('--format', 'lp', ...part),
  })
  const share = length / (end - start)
  const rowOf = (work, ours, theirs) =>
    row(work, {
      ...{ against: 'all of it, for its share', ours, theirs, atMost: 1.3 },
      figure: without(startUp, ours).seconds / without(startUp, theirs).seconds / share,
    })
  return [
    rowOf('export of one day into a set', costs.part, costs.all),
    rowOf('export of one day, lp', costs.partText, costs.allText),
  ]
}
