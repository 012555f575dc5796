// An exact range of time: what one day and seven cost of what all of it costs, for their share; out of a directory and from
// snap serve. Once as it is, and once without what a range costs that holds no point: time is a fixed part and a slope. A plain
// program does of a day into a set what cannot be left out.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chosenWorks } from './context.mjs'
import { row, timed, without } from './measure.mjs'
import { PLAIN_RANGE } from './plain-range.mjs'
import { startServe } from './serve.mjs'

const DAY = 86_400
const DAYS = { 'one day': 1, '7 days': 7 }
/** The exit code of an export that finds nothing. */
const NOTHING = 16
/** The work that a plain program does too. */
const PLAIN_WORK = 'into a set, from a directory'

export async function range(context) {
  const directory = join(context.data.folder, 'data')
  const served = await startServe(directory)
  try {
    const sources = {
      'a directory': ['--data-dir', directory],
      'snap serve': ['--host', served.host],
    }
    const works = {}
    for (const [name, source] of Object.entries(sources)) {
      works[`into a set, from ${name}`] = source
      works[`lp, from ${name}`] = ['--format', 'lp', ...source]
    }
    const rows = []
    for (const [work, words] of Object.entries(chosenWorks(works, context.works))) {
      rows.push(...(await rangesOf(context, work, words)))
    }
    return rows
  } finally {
    await served.stop()
  }
}

/** In the middle: a second between two points, one day and seven days, of half of all at the most. */
async function rangesOf({ snap, at, alternate, startUp, data }, work, words) {
  const { start, end, step } = data
  const length = (days) => Math.min(days * DAY, (end - start) / 2)
  const middle = start + step * Math.floor((end - start) / step / 2)
  const endsOf = (days) => [middle - length(days) / 2, middle + length(days) / 2]
  const around = (days) => between(...endsOf(days))
  const { all, none, plain, ...parts } = await alternate({
    'one day': into({ snap, at }, [...words, ...around(DAYS['one day'])]),
    '7 days': into({ snap, at }, [...words, ...around(DAYS['7 days'])]),
    none: into({ snap, at }, [...words, ...between(middle + step / 3, middle + step / 2)], NOTHING),
    all: into({ snap, at }, words),
    ...(work === PLAIN_WORK && { plain: plainly({ data, at }, endsOf(DAYS['one day'])) }),
  })
  const figureOf = (part, days, off) => {
    const share = length(days) / (end - start)
    return without(off, part).seconds / without(off, all).seconds / share
  }
  const against = 'all of it, for its share'
  const rows = Object.entries(parts).flatMap(([title, part]) => {
    const name = `export of ${title}`
    const facts = { against, ours: part, theirs: all, atMost: 1.3 }
    const less = `${name} less an empty range, ${work}`
    return [
      row(`${name}, ${work}`, { ...facts, figure: figureOf(part, DAYS[title], startUp) }),
      row(less, { ...facts, figure: figureOf(part, DAYS[title], none.seconds) }),
    ]
  })
  if (plain !== undefined) {
    const figure = figureOf(plain, DAYS['one day'], startUp)
    const facts = { against, ours: plain, theirs: all, figure }
    rows.push(row(`one day by a plain program, ${work}`, facts))
  }
  const empty = { ours: none, figure: without(startUp, none).seconds, unit: 's' }
  return [...rows, row(`export of an empty range, ${work}`, empty)]
}

function between(start, end) {
  const time = (seconds) => new Date(seconds * 1000).toISOString()
  return ['--start', time(start), '--end', time(end)]
}

/** Text goes nowhere, as the disk would be measured with it. */
function into({ snap, at }, words, ends) {
  const target = words.includes('lp') ? '-' : at('range')
  return async () => {
    const cost = await snap(['export', '--quiet', ...words, target], { ends })
    await rm(at('range'), { recursive: true, force: true })
    return cost
  }
}

/** What {@link PLAIN_RANGE} costs between two times in seconds. */
function plainly({ data, at }, ends) {
  const times = ends.map((seconds) => `${seconds}000000000`)
  return async () => {
    const words = [PLAIN_RANGE, join(data.folder, 'data'), at('plain-range'), ...times]
    const cost = await timed(process.execPath, words)
    await rm(at('plain-range'), { recursive: true, force: true })
    return cost
  }
}
