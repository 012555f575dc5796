import { readdir } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proveSuperseded } from '../../src/operations/prove-superseded.ts'
import type { ArchivePart } from '../../src/operations/restorable.ts'
import { markOf, openUnion, unionEntries } from '../../src/operations/union-shard.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { tempDir } from '../helpers/temp.ts'
import { rejected } from '../protocol/thrown.ts'
import { openBytes } from '../tsm/files.ts'
import { file, partOf, type StockFile, shardNameOf } from './stock-sets.ts'

const TEMP = await tempDir('union')
const SHARD = shardNameOf(1n)
const RUNS = process.env['SLOW'] === '1' ? 2000 : 60

/** The points of archives together, newest first: `series time=value`. */
async function unionOf(parts: readonly ArchivePart[]): Promise<string[]> {
  const union = await openUnion(SHARD, parts, { tempDir: TEMP })
  const found: string[] = []
  try {
    for await (const { key, blocks } of mergeTsm(union.sources)) {
      const [series] = Buffer.from(key).toString().split('#!~#')
      for await (const block of blocks) {
        if (block.type !== 'float') throw new Error(block.type)
        for (const [i, time] of block.times.entries())
          found.push(`${series} ${time}=${block.values[i]}`)
      }
    }
  } finally {
    await union.close()
  }
  return found
}

const partsOf = (...archives: readonly (readonly StockFile[])[]) =>
  Promise.all(archives.map((files, i) => partOf(files, `archive ${i}`)))
const valued = (generation: number, times: readonly number[], value: number) =>
  file(generation, generation, times, { value: () => value })
const deletion = (generation: number, from: number, to: number): StockFile => ({
  ...{ generation, written: 9 },
  deleted: { series: 'm', from, to },
})

describe('several archives of a shard', () => {
  it('have every point once, of equal times that of the last file', async () => {
    const parts = await partsOf(
      [valued(3, [2, 4], 3)],
      [valued(1, [1, 2], 1), valued(2, [2, 3], 2)],
    )
    expect(await unionOf(parts)).toEqual(['m 1=1', 'm 2=3', 'm 3=2', 'm 4=3'])
  })

  it('have files of one name, of which the newer one wins', async () => {
    const of = (written: number, times: readonly number[], value: number) =>
      file(1, written, times, { value: () => value })
    const parts = await partsOf([of(9, [2, 3], 7)], [of(5, [1, 2], 5)], [of(4, [1, 9], 4)])
    expect(await unionOf(parts)).toEqual(['m 1=5', 'm 2=7', 'm 3=7', 'm 9=4'])
  })

  it('have newer files that win whatever archive they are in', async () => {
    const parts = await partsOf([valued(1, [1], 1)], [valued(2, [1], 2)])
    expect(await unionOf(parts)).toEqual(['m 1=2'])
  })

  it('have tombstones that are for files of older ones too, the newest of each', async () => {
    const whole = { ...valued(1, [1, 2, 3], 1), deleted: { series: 'm', from: 3, to: 3 } }
    const [newer, older] = await partsOf([deletion(1, 2, 3)], [whole])
    if (newer === undefined || older === undefined) throw new Error('two parts')
    expect(await unionOf([newer, older])).toEqual(['m 1=1'])
    expect(await unionOf([older])).toEqual(['m 1=1', 'm 2=1'])
    const [held] = await partsOf([valued(5, [7], 5), deletion(1, 1, 1)])
    if (held === undefined) throw new Error('a part')
    expect(await unionOf([{ ...held, onlyTombstones: true }, older])).toEqual(['m 2=1', 'm 3=1'])
  })

  it('have files that are the same by name, size and time', () => {
    const mark = { name: 'd/r/1/000000001-000000001.tsm', size: 7, mtime: new Date(5) }
    expect(markOf(mark)).toBe(markOf({ ...mark, name: 'd/r/1/000000001-000000001.tsm' }))
    for (const other of [
      { size: 8 },
      { mtime: new Date(6) },
      { name: 'd/r/1/000000002-000000001.tsm' },
    ])
      expect(markOf({ ...mark, ...other })).not.toBe(markOf(mark))
  })

  it('become files in which each point is once, the same each time', async () => {
    const parts = await partsOf(
      [valued(3, [2, 4], 3)],
      [valued(1, [1, 2], 1), valued(2, [2, 3], 2)],
    )
    const read = async () => {
      const names: string[] = []
      const bodies: Buffer[] = []
      for await (const { name, size, body } of unionEntries(
        { ...SHARD, parts, isUnion: true },
        TEMP,
      )) {
        const chunks: Uint8Array[] = []
        for await (const chunk of body) chunks.push(chunk)
        names.push(`${name} ${size}`)
        bodies.push(Buffer.concat(chunks))
      }
      return { names, bodies }
    }
    const first = await read()
    expect(first.names).toEqual([`d/r/1/000000001-000000001.tsm ${first.bodies[0]?.length}`])
    const made = await openBytes(first.bodies[0] ?? Buffer.alloc(0))
    const times: bigint[] = []
    for await (const key of made.keys())
      for (const entry of key.entries) times.push(...(await made.readPoints(key, entry)).times)
    expect(times).toEqual([1n, 2n, 3n, 4n])
    expect(await read()).toEqual(first)
    expect(await readdir(TEMP)).toEqual([])
  })

  it('are named if they are damaged, and end with the signal', async () => {
    const [good, bad] = await partsOf([valued(2, [2], 2)], [valued(1, [1], 1)])
    if (good === undefined || bad === undefined) throw new Error('two parts')
    const damaged: ArchivePart = {
      ...bad,
      open: async function* () {
        for await (const chunk of bad.open())
          yield chunk.map((byte, at) => (at === 530 ? byte ^ 1 : byte))
      },
    }
    const cut: ArchivePart = {
      ...bad,
      open: async function* () {
        for await (const chunk of bad.open()) yield chunk.subarray(0, 700)
      },
    }
    for (const part of [damaged, cut]) {
      const entries = unionEntries({ ...SHARD, parts: [good, part] }, TEMP)
      const error = await rejected(entries.next())
      expect(error).toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining('archive'),
      })
    }
    const signal = AbortSignal.abort(new Error('stopped'))
    const stopped = unionEntries({ ...SHARD, parts: [good] }, TEMP, signal)
    expect(await rejected(stopped.next())).toMatchObject({
      message: expect.stringContaining('stopped'),
    })
    expect(await readdir(TEMP)).toEqual([])
  })
})

describe('an older archive', () => {
  const series = ['a', 'b'] as const
  const times = fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 8 })
  const content = fc.tuple(times, times)

  const filesOf = (generation: number, lists: readonly (readonly number[])[]) => {
    const points = Object.fromEntries(
      lists.flatMap((list, i) =>
        list.length === 0
          ? []
          : [
              [
                series[i] ?? '',
                Object.fromEntries(list.toSorted((x, y) => x - y).map((at) => [at, 1])),
              ],
            ],
      ),
    )
    return Object.keys(points).length === 0 ? [] : [{ generation, written: generation, points }]
  }

  it('can be left out if each point is in newer ones, or between others of a witness', async () => {
    await fc.assert(
      fc.asyncProperty(content, content, fc.boolean(), async (old, fresh, isWitness) => {
        const [newer, older] = await partsOf(filesOf(2, fresh), filesOf(1, old))
        if (newer === undefined || older === undefined) throw new Error('two parts')
        const all = fresh.flat()
        const [first, last] = [Math.min(...all), Math.max(...all)]
        const isThere = old.every((list, i) =>
          list.every(
            (at) => fresh[i as 0 | 1].includes(at) || (isWitness && first < at && at < last),
          ),
        )
        const asked = { shard: SHARD, newer: [newer], older, witnesses: isWitness ? [newer] : [] }
        expect(await proveSuperseded(asked, { tempDir: TEMP })).toBe(isThere)
      }),
      { numRuns: RUNS },
    )
    expect(await readdir(TEMP)).toEqual([])
  })

  it('whose points were deleted by tombstones of newer ones can be left out', async () => {
    const [newer, older] = await partsOf(
      [valued(2, [1], 1), deletion(1, 2, 9)],
      [valued(1, [1, 2], 1)],
    )
    if (newer === undefined || older === undefined) throw new Error('two parts')
    const asked = { shard: SHARD, newer: [newer], older, witnesses: [] }
    expect(await proveSuperseded(asked, { tempDir: TEMP })).toBe(true)
  })

  it('that is damaged is named', async () => {
    const [newer, older] = await partsOf([valued(2, [1], 1)], [valued(1, [1, 2], 1)])
    if (newer === undefined || older === undefined) throw new Error('two parts')
    const damaged: ArchivePart = {
      ...older,
      open: async function* () {
        yield Buffer.alloc(700, 1)
      },
    }
    const asked = { shard: SHARD, newer: [newer], older: damaged, witnesses: [] }
    const error = await rejected(proveSuperseded(asked, { tempDir: TEMP }))
    expect(error).toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('archive 1'),
    })
    expect(await readdir(TEMP)).toEqual([])
  })
})
