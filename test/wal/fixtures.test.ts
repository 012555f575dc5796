import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { bytesAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { readSegment, segmentNames } from '../../src/wal/segment.ts'
import { convertShards } from './points.ts'
import { SCENARIOS } from './scenarios.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures/wal/', import.meta.url))

async function readShard(folder: string): Promise<RandomAccess[]> {
  const names = segmentNames(await readdir(folder))
  return Promise.all(
    names.map(async (name) => bytesAccess(await readFile(join(folder, name)), name)),
  )
}

async function readFixture(name: string): Promise<RandomAccess[][]> {
  const folder = join(FIXTURES, name)
  const shards = (await readdir(folder)).filter((entry) => /^\d+$/.test(entry)).sort()
  return Promise.all(shards.map((shard) => readShard(join(folder, shard))))
}

async function allSegments(name: string): Promise<RandomAccess[]> {
  return (await readFixture(name)).flat()
}

async function kindsOf(bytes: Uint8Array): Promise<string[]> {
  const kinds: string[] = []
  for await (const { kind } of readSegment(bytesAccess(bytes, 'cut'))) kinds.push(kind)
  return kinds
}

describe('WALs of influxd 1.6.7', () => {
  it.each(SCENARIOS)('$name: what influxd answered', async ({ name, damage = [] }) => {
    const converted = await convertShards(await readFixture(name))
    const expected: unknown = JSON.parse(
      await readFile(join(FIXTURES, name, 'expected.json'), 'utf8'),
    )
    expect(converted).toEqual({ rows: expected, damage })
  })
  it.each(SCENARIOS)('$name: cut at every byte, entries up to the cut', async ({ name }) => {
    for (const segment of await allSegments(name)) {
      const bytes = await segment.read(0, segment.size)
      let before = 0
      for (let size = 0; size < bytes.length; size += 1) {
        const kinds = await kindsOf(bytes.subarray(0, size))
        const entries = kinds.filter((kind) => kind === 'write' || kind === 'delete').length
        expect(entries).toBeGreaterThanOrEqual(before)
        before = entries
      }
    }
  })

  it.each(SCENARIOS)('$name: with any byte changed, an answer or a SnapError', async ({ name }) => {
    for (const segment of await allSegments(name)) {
      const bytes = Buffer.from(await segment.read(0, segment.size))
      const step = process.env.SLOW === '1' ? 1 : 7
      for (let at = 0; at < bytes.length; at += step) {
        const byte = bytes[at] ?? 0
        bytes[at] = byte ^ (1 << (at % 8))
        await convertShards([[bytesAccess(bytes, segment.name)]]).catch((error: unknown) => {
          expect(error).toBeInstanceOf(SnapError)
        })
        bytes[at] = byte
      }
    }
  })
})
