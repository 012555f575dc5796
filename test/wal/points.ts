import type { RandomAccess } from '../../src/io/random-access.ts'
import { walToTsm } from '../../src/wal/to-tsm.ts'
import { tempDir } from '../helpers/temp.ts'
import { readTsm } from './samples.ts'

/** A point as text: measurement, tags, field, type, time, value. */
export type PointRow = readonly string[]

/** Converts the WALs of shards and returns all points, sorted, and what was damaged. */
export async function convertShards(shards: readonly (readonly RandomAccess[])[]) {
  const rows: PointRow[] = []
  const damage: string[] = []
  for (const segments of shards) {
    const options = { generation: 1, tempDir: await tempDir('wal') }
    const { files, report } = await walToTsm(segments, options)
    damage.push(...report.lost.map(({ kind }) => `lost: ${kind}`))
    damage.push(...report.torn.map(({ kind }) => `torn: ${kind}`))
    for (const { source } of files) rows.push(...(await rowsOf(source)))
  }
  return { rows: sortRows(rows), damage }
}

async function rowsOf(source: RandomAccess): Promise<PointRow[]> {
  return (await readTsm(source)).flatMap(([key, { type, points }]) => {
    const [series = '', field = ''] = key.split('#!~#')
    const end = series.search(/(?<!\\),|$/)
    const measurement = series.slice(0, end).replace(/\\([, ])/g, '$1')
    const names = [measurement, series.slice(end + 1), field]
    return points.map(([time, value]) => [
      ...names,
      type,
      String(time),
      Object.is(value, -0) ? '-0' : String(value),
    ])
  })
}

/** Turns the lines of a dump into rows: without database and policy, floats as JavaScript prints them. */
export function rowsOfDump(lines: readonly string[]): PointRow[] {
  const rows = lines.map((line): string[] => JSON.parse(line).slice(2))
  return sortRows(
    rows.map((row) => (row[3] === 'float' ? [...row.slice(0, 5), printed(row[5])] : row)),
  )
}

function printed(text: string | undefined): string {
  const value = Number(text)
  return Object.is(value, -0) ? '-0' : String(value)
}

function sortRows(rows: readonly PointRow[]): PointRow[] {
  return rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}
