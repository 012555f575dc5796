import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { fileAccess } from '../../src/io/random-access.ts'
import { tombstoneFileName } from '../../src/tsm/file-name.ts'
import type { MergedKey, TsmSource } from '../../src/tsm/merge.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { formatCompositeKey, formatSeriesKey } from '../../src/tsm/series-key.ts'
import { readTombstones } from '../../src/tsm/tombstone-set.ts'
import { type Block, stringAt } from '../../src/tsm/values.ts'
import { parseCsv } from '../helpers/csv.ts'

/** Shards of a real influxd; see test/fixtures/tsm/make.mjs. */
export const FIXTURES = ['encodings', 'names', 'overlaps', 'deletes', 'compacted'] as const

export type Fixture = (typeof FIXTURES)[number]

export function fixtureDirectory(name: Fixture): string {
  return join(import.meta.dirname, '../fixtures/tsm', name)
}

/** Paths of all TSM files of all fixtures. */
export async function fixtureFiles(): Promise<string[]> {
  const lists = FIXTURES.map(async (name) => {
    const files = await readdir(fixtureDirectory(name))
    return files
      .filter((file) => file.endsWith('.tsm'))
      .map((file) => join(fixtureDirectory(name), file))
  })
  return (await Promise.all(lists)).flat()
}

/** Opens the files of a fixture, oldest first, each with its tombstones. */
export async function openFixture(name: Fixture): Promise<TsmSource[]> {
  return openDirectory(fixtureDirectory(name))
}

/** Opens the TSM files of a shard's directory, oldest first, each with its tombstones. */
export async function openDirectory(directory: string): Promise<TsmSource[]> {
  const files = (await readdir(directory)).sort()
  const sources: TsmSource[] = []
  for (const file of files.filter((other) => other.endsWith('.tsm'))) {
    const tombstone = tombstoneFileName(file)
    const path = join(directory, tombstone)
    sources.push({
      file: await openTsm(await fileAccess(join(directory, file))),
      ...(files.includes(tombstone) && {
        tombstones: await readTombstones(createReadStream(path), tombstone),
      }),
    })
  }
  return sources
}

export async function closeAll(sources: readonly TsmSource[]): Promise<void> {
  for (const { file } of sources) await file.close()
}

export type Value = number | bigint | boolean | string

export function valueAt(block: Block, i: number): Value {
  if (block.type === 'string') return Buffer.from(stringAt(block.values, i)).toString()
  const value = block.values[i] ?? Number.NaN
  return block.type === 'boolean' ? value === 1 : value
}

/** Returns every point as `key time` to value; keys as latin1, so that no byte is lost. */
export async function collect(merged: AsyncIterable<MergedKey>): Promise<Map<string, Value>> {
  const points = new Map<string, Value>()
  for await (const { key, blocks } of merged) {
    for await (const block of blocks) {
      block.times.forEach((time, i) => {
        const name = `${Buffer.from(key).toString('latin1')} ${time}`
        if (points.has(name)) throw new Error(`${name} came twice`)
        points.set(name, valueAt(block, i))
      })
    }
  }
  return points
}

/** Returns the points that influxd answered for a fixture, values as CSV has them. */
export async function answered(name: Fixture): Promise<Map<string, string>> {
  const path = join(fixtureDirectory(name), 'values.json.gz')
  const documents: string[] = JSON.parse(gunzipSync(await readFile(path)).toString())
  return new Map(documents.flatMap(parsePoints))
}

/** Returns the points of a CSV document that `SELECT * ... GROUP BY *` answered. */
export function parsePoints(csv: string): [string, string][] {
  const [header = [], ...rows] = parseCsv(csv)
  return rows.flatMap(([measurement = '', tags = '', time = '', ...values]) =>
    values.flatMap((value, i): [string, string][] => {
      if (value === '') return []
      const series = formatSeriesKey({ measurement: Buffer.from(measurement), tags: [] })
      const seriesKey = Buffer.concat([series, Buffer.from(tags === '' ? '' : `,${tags}`)])
      const key = formatCompositeKey({ seriesKey, field: Buffer.from(header[i + 3] ?? '') })
      return [[`${Buffer.from(key).toString('latin1')} ${time}`, value]]
    }),
  )
}

/** Returns `value` as influxd's CSV writes it, floats as JavaScript does. */
export function shown(value: Value): string {
  return Object.is(value, -0) ? '-0' : String(value)
}

/** Returns how CSV text of a float reads as {@link shown} would write it, other text as it is. */
export function normalized(value: Value, text: string): string {
  return typeof value === 'number' ? shown(Number(text)) : text
}
