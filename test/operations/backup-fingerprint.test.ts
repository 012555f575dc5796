import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { fileAccess } from '../../src/io/random-access.ts'
import { describeData } from '../../src/operations/describe-archive.ts'
import { decodeCatalog } from '../../src/portable/catalog.ts'
import { decodeSidecar } from '../../src/portable/sidecar.ts'
import { fieldTypeCode } from '../../src/tsm/format.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { fingerprintOf } from '../tsm/reference/fingerprint.ts'
import { backUp, namesOf, verified } from './sets.ts'
import { DAY, type FileFixture, points, type ShardFixture } from './shards.ts'

const KEY = 'cpu,host=a#!~#load'
const OTHER = 'mem,host=a#!~#free'

const shard = (...files: readonly FileFixture[]): ShardFixture => ({
  ...{ id: 1n, database: 'db', retentionPolicy: 'rp', day: 1n },
  files,
})

const integers = (...rows: readonly (readonly [bigint, bigint])[]) =>
  points(
    'integer',
    rows.map(([time, value]) => [DAY + time, value]),
  )

async function sidecarOf(shards: readonly ShardFixture[], options = {}) {
  const { store, result } = await backUp(shards, options)
  const [name = ''] = namesOf(store, '.s1.json')
  return { sidecar: decodeSidecar(store.files.get(name) ?? new Uint8Array()), result, store }
}

describe('the sidecar of a shard', () => {
  const compacted = shard({
    points: { [KEY]: integers([1n, 1n], [2n, 20n], [4n, 4n]), [OTHER]: integers([1n, 7n]) },
  })

  it('says what points there are, by measurement', async () => {
    const { sidecar, result } = await sidecarOf([compacted])
    const point = (key: string, time: bigint, value: bigint) => ({
      ...{ key: Buffer.from(key), type: fieldTypeCode('integer'), time: DAY + time, value },
    })
    const cpu = [point(KEY, 1n, 1n), point(KEY, 2n, 20n), point(KEY, 4n, 4n)]
    const mem = [point(OTHER, 1n, 7n)]
    expect(sidecar.data).toEqual({
      ...{ exact: true, series: 2, keys: 2, points: 4, minTime: DAY + 1n, maxTime: DAY + 4n },
      fingerprint: fingerprintOf([...cpu, ...mem]),
      measurements: [
        {
          ...{ measurement: 'cpu', series: 1, keys: 1, points: 3 },
          ...{ minTime: DAY + 1n, maxTime: DAY + 4n, fingerprint: fingerprintOf(cpu) },
        },
        {
          ...{ measurement: 'mem', series: 1, keys: 1, points: 1 },
          ...{ minTime: DAY + 1n, maxTime: DAY + 1n, fingerprint: fingerprintOf(mem) },
        },
      ],
    })
    expect(result.shards).toEqual([
      expect.objectContaining({ points: 4, exact: true, fingerprint: sidecar.data?.fingerprint }),
    ])
  })

  it('is the same whatever files, overlaps and deletions the points are in', async () => {
    const written = shard(
      { points: { [KEY]: integers([1n, 1n], [2n, 2n], [3n, 3n]), [OTHER]: integers([1n, 7n]) } },
      {
        points: { [KEY]: integers([2n, 20n], [3n, 30n]) },
        deleted: [{ key: KEY, time: DAY + 3n }],
      },
      { points: { [KEY]: integers([4n, 4n]) } },
    )
    const first = shard(
      {
        ...written.files[0],
        points: written.files[0]?.points ?? {},
        deleted: [{ key: KEY, time: DAY + 3n }],
      },
      ...written.files.slice(1),
    )
    const expected = (await sidecarOf([compacted])).sidecar.data
    expect((await sidecarOf([first])).sidecar.data).toEqual(expected)
    const { sidecar } = await sidecarOf([first], { compression: 'none' })
    expect(sidecar.data).toEqual(expected)
    expect((await sidecarOf([written])).sidecar.data?.points).toBe(5)
  })

  it('says so where the store cannot read what it has not published', async () => {
    const overlapping = shard(
      { points: { [KEY]: integers([1n, 1n]) } },
      { points: { [KEY]: integers([1n, 2n]) } },
    )
    const { sidecar, result } = await sidecarOf([overlapping], {
      store: new MemoryStore([], { canReadStaged: false }),
    })
    expect(sidecar.data).toMatchObject({
      ...{ exact: false, points: 2, reason: 'files overlap, and cannot be read again' },
    })
    expect(result.shards).toEqual([expect.objectContaining({ exact: false })])
  })

  it('says so where a field has two types', async () => {
    const { sidecar } = await sidecarOf([
      shard(
        { points: { [KEY]: integers([1n, 1n]) } },
        { points: { [KEY]: points('float', [[DAY + 1n, 2]]) } },
      ),
    ])
    expect(sidecar.data).toMatchObject({
      exact: false,
      reason: expect.stringContaining(`field ${KEY} is float here, integer in a file before`),
    })
  })

  it('names a measurement that is no UTF-8 by its bytes too', () => {
    const totals = {
      series: 0,
      keys: 0,
      points: 0,
      range: undefined,
      fingerprint: [0n, 0n],
    } as const
    const measurements = [{ ...totals, measurement: Uint8Array.of(0x61, 0xff) }]
    const data = { all: totals, measurements, others: totals, inexact: undefined, flaws: [] }
    expect(describeData(data)).toMatchObject({
      measurements: [{ measurement: 'a\ufffd', measurementHex: '61ff' }],
      otherMeasurements: { points: 0 },
    })
  })

  it('says nothing of points if that is not wanted', async () => {
    const { sidecar, result } = await sidecarOf([compacted], { fingerprint: false })
    expect(sidecar.data).toBeUndefined()
    expect(result.shards).toEqual([expect.not.objectContaining({ points: 4 })])
  })
})

describe('a backup', () => {
  it('says which blocks the source itself has lost, and takes them as they are', async () => {
    const { store, result } = await backUp(
      [
        shard({
          points: {
            [KEY]: points('float', [
              [DAY, 1],
              [DAY + 9n, 2],
            ]),
          },
        }),
      ],
      { prepare: ({ data }) => spoilFirstBlock(join(data, 'db/rp/1/000000001-000000001.tsm')) },
    )
    expect(result.lost).toEqual([
      expect.stringMatching(/^shard 1 \(db\.rp\): db\/rp\/1\/.*: block at offset 5 of cpu,host=a/),
    ])
    const [name = ''] = namesOf(store, '.s1.json')
    expect(decodeSidecar(store.files.get(name) ?? new Uint8Array()).data).toMatchObject({
      ...{ exact: false, points: 0, reason: expect.stringContaining('block at offset 5') },
    })
    const { problems } = await verified(store, { deep: true })
    expect(problems).toEqual([
      expect.objectContaining({ message: expect.stringContaining('block at offset 5 of cpu') }),
    ])
    expect((await verified(store)).problems).toEqual([])
  })

  it('notes in the catalog what the source does not have', async () => {
    const two = [shard({ points: { [KEY]: integers([1n, 1n]) } }), { ...shard(), id: 2n, day: 2n }]
    const { store } = await backUp(two, {
      prepare: ({ data }) => rm(join(data, 'db/rp/2'), { recursive: true }),
    })
    const [name = ''] = namesOf(store, '.snap.json')
    expect(decodeCatalog(store.files.get(name) ?? new Uint8Array()).skipped).toEqual([
      {
        ...{ shardId: 2n, database: 'db', retentionPolicy: 'rp' },
        ...{ reason: 'the source has no such shard', lost: false },
      },
    ])
    const { problems, gaps } = await verified(store)
    expect(problems).toEqual([])
    expect(gaps).toMatchObject([{ shardId: 2n, lost: false, times: { start: 2n * DAY } }])
  })
})

/** Makes the first time of a float block another one, and its CRC right. */
async function spoilFirstBlock(path: string): Promise<void> {
  const file = await openTsm(await fileAccess(path))
  const entry = (await file.find(Buffer.from(KEY)))?.entries[0]
  await file.close()
  const bytes = await readFile(path)
  const { offset, size } = entry ?? { offset: 0, size: 0 }
  bytes.writeUInt8((bytes[offset + 14] ?? 0) ^ 1, offset + 14)
  bytes.writeUInt32BE(crc32(bytes.subarray(offset + 4, offset + size)), offset)
  await writeFile(path, bytes)
}
