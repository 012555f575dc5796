import { readdirSync } from 'node:fs'
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { openDataDirectory } from '../../src/datadir/index.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { tempDir } from '../helpers/temp.ts'
import { entry, writeEntry } from '../wal/encode.ts'
import {
  collect,
  entriesOf,
  makeMeta,
  makeShardFiles,
  pathsIn,
  pointsOf,
  tsmBytes,
  tsmName,
} from './shard-files.ts'

const { signal } = new AbortController()
const EVER = -(2n ** 63n)
const TRAILER = Buffer.alloc(1024)

let dir: string

beforeEach(async () => {
  dir = await tempDir('store')
  await makeMeta(dir, [1n])
})

async function openStore(options: object = {}) {
  const paths = pathsIn(dir)
  return (await openDataDirectory(paths, { mode: 'read-only', ...options })).tsdbStore
}

async function backup(since = EVER, id = 1n, options = {}): Promise<Buffer> {
  const store = await openStore(options)
  return await collect((w) => store.backupShard(id, since, w, signal))
}

function walOf(...times: readonly number[]): Buffer {
  const points = times.map((time): [bigint, number] => [BigInt(time), time])
  return writeEntry({ type: 'float', key: 'w#!~#value', points })
}

describe('backupShard', () => {
  it('sends TSM files after their tombstones, then the WAL as the next generation', async () => {
    const one = await tsmBytes({ a: [[1, 2]] })
    const two = await tsmBytes({ a: [[3]] })
    await makeShardFiles(dir, {
      data: { [tsmName(7)]: two, [tsmName(5, 2)]: one, '000000005-000000002.tombstone': 'x' },
      wal: { '_00001.wal': walOf(4, 5), '_00002.wal': walOf(6) },
    })
    const entries = await entriesOf(await backup())
    expect([...entries.keys()]).toEqual([
      'db/rp/1/000000005-000000002.tombstone',
      'db/rp/1/000000005-000000002.tsm',
      'db/rp/1/000000007-000000001.tsm',
      'db/rp/1/000000008-000000001.tsm',
    ])
    expect(entries.get('db/rp/1/000000005-000000002.tsm')?.equals(one)).toBe(true)
    const wal = entries.get('db/rp/1/000000008-000000001.tsm') ?? Buffer.alloc(0)
    expect(await pointsOf([wal])).toEqual(['w 4', 'w 5', 'w 6'])
  })

  it('sends a shard that only has a WAL, and an empty one as the bare trailer', async () => {
    const { walPath } = await makeShardFiles(dir, {})
    expect(await backup()).toEqual(TRAILER)
    await writeFile(join(walPath, '_00001.wal'), '')
    expect(await backup()).toEqual(TRAILER)
    await writeFile(join(walPath, '_00001.wal'), walOf(1))
    expect([...(await entriesOf(await backup())).keys()]).toEqual([`db/rp/1/${tsmName(1)}`])
  })

  it('sends what changed after a time, to the nanosecond, and the WAL whole or not at all', async () => {
    const { dataPath, walPath } = await makeShardFiles(dir, {
      data: { [tsmName(1)]: 'one', [tsmName(2)]: 'two', '000000001-000000001.tombstone': 'x' },
      wal: { '_00001.wal': walOf(1), '_00002.wal': walOf(2) },
    })
    await utimes(join(dataPath, tsmName(1)), 1000, 1000)
    await utimes(join(dataPath, tsmName(2)), 2000, 2000)
    await utimes(join(dataPath, '000000001-000000001.tombstone'), 3000, 3000)
    await utimes(join(walPath, '_00001.wal'), 1500, 1500)
    await utimes(join(walPath, '_00002.wal'), 4000, 4000)
    const seconds = async (since: bigint) =>
      [...(await entriesOf(await backup(since))).keys()].map((name) =>
        name.slice('db/rp/1/'.length),
      )
    const tombstone = '000000001-000000001.tombstone'
    expect(await seconds(999_999_999_999n)).toEqual([tombstone, tsmName(1), tsmName(2), tsmName(3)])
    expect(await seconds(1_000_000_000_000n)).toEqual([tombstone, tsmName(2), tsmName(3)])
    expect(await seconds(2_000_000_000_000n)).toEqual([tombstone, tsmName(3)])
    expect(await seconds(3_000_000_000_000n)).toEqual([tsmName(3)])
    expect(await backup(4_000_000_000_000n)).toEqual(TRAILER)
  })

  it('says what of a WAL is lost', async () => {
    const bad = entry(1, Buffer.from('not a write'))
    await makeShardFiles(dir, {
      wal: { '_00001.wal': Buffer.concat([walOf(1), bad, walOf(2)]), '_00002.wal': walOf(3) },
    })
    const losses: string[] = []
    const warnings: string[] = []
    const entries = await entriesOf(
      await backup(EVER, 1n, {
        onLoss: (id: bigint, message: string) => losses.push(`${id}: ${message}`),
        logger: { info() {}, warn: (message: string) => warnings.push(message) },
      }),
    )
    expect(await pointsOf(entries.values())).toEqual(['w 1', 'w 3'])
    expect(losses).toEqual([expect.stringMatching(/^1: .*_00001.wal: \d+ bytes at offset \d+/)])
    expect(warnings).toHaveLength(1)
  })

  it('says which points give way to newer ones of another type', async () => {
    const other = writeEntry({ type: 'boolean', key: 'w#!~#value', points: [[9n, true]] })
    await makeShardFiles(dir, { wal: { '_00001.wal': walOf(1), '_00002.wal': other } })
    const losses: string[] = []
    await backup(EVER, 1n, { onLoss: (_: bigint, message: string) => losses.push(message) })
    expect(losses).toEqual([
      'WAL: left out 1 points of another type than newer ones, of w#!~#value',
    ])
  })

  it('finds a shard that the metastore does not know, if there is one of it', async () => {
    await mkdir(join(dir, 'data/other/rp/9'), { recursive: true })
    await makeShardFiles(dir, {})
    expect(await backup(EVER, 9n)).toEqual(TRAILER)
    const store = await openStore()
    expect(await store.shardRelativePath(9n)).toBe('other/rp/9')
    expect(await store.shard(1n)).toMatchObject({ database: 'db', retentionPolicy: 'rp' })
    expect(await store.shard(5n)).toBeUndefined()
    await mkdir(join(dir, 'data/copy/rp/9'), { recursive: true })
    await expect(store.shard(9n)).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: expect.stringContaining('more than once'),
    })
  })

  it('refuses a shard that is known and not there, and one behind a symbolic link', async () => {
    await mkdir(join(dir, 'data'))
    await mkdir(join(dir, 'wal'))
    await expect(backup()).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `shard 1 is not in ${dir}/data`,
    })
    expect(await (await openStore()).shard(1n)).toBeUndefined()
    await symlink(dir, join(dir, 'data/db'))
    await expect(backup()).rejects.toMatchObject({ code: 'E_SOURCE' })
  })

  it('stops when the peer is gone and lets go of the files', async () => {
    await makeShardFiles(dir, { data: { [tsmName(1)]: Buffer.alloc(4 << 20) } })
    const store = await openStore()
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    const stop = new AbortController()
    const sink = new PassThrough()
    const sending = store.backupShard(1n, EVER, sink, stop.signal)
    sink.once('readable', () => stop.abort())
    await expect(sending).rejects.toThrow('abort')
    expect(open()).toBe(before)
  })
})

describe('exportShard', () => {
  async function exported(start: bigint, end: bigint): Promise<Map<string, Buffer>> {
    const store = await openStore()
    const tar = await collect((w) => store.exportShard(1n, start, end, w, signal))
    return await entriesOf(tar)
  }

  it('copies a file that is wanted whole and leaves out one that is not', async () => {
    const inside = await tsmBytes({ a: [[10, 20]] })
    await makeShardFiles(dir, {
      data: {
        [tsmName(1)]: await tsmBytes({ a: [[1, 2]] }),
        [tsmName(2)]: inside,
        [tsmName(3)]: await tsmBytes({ a: [[5], [15, 25]], b: [[30]] }),
        [tsmName(4)]: await tsmBytes({ a: [[1], [30]] }),
      },
      wal: { '_00001.wal': walOf(9, 10, 11) },
    })
    const entries = await exported(10n, 20n)
    expect([...entries.keys()]).toEqual([2, 3, 5].map((n) => `db/rp/1/${tsmName(n)}`))
    expect(entries.get(`db/rp/1/${tsmName(2)}`)?.equals(inside)).toBe(true)
    expect(await pointsOf(entries.values())).toEqual(['a 10', 'a 15', 'a 20', 'w 10', 'w 11'])
  })

  it('applies tombstones, also to a file that is inside the range', async () => {
    const key = Buffer.from('a#!~#value')
    const deleted = encodeTombstones([{ key, minTime: 2n, maxTime: 3n }])
    await makeShardFiles(dir, {
      data: {
        [tsmName(1)]: await tsmBytes({ a: [[1, 2, 3, 4]] }),
        '000000001-000000001.tombstone': deleted,
        [tsmName(2)]: await tsmBytes({ a: [[3]] }),
      },
    })
    const entries = await exported(EVER, 2n ** 63n - 1n)
    expect([...entries.keys()]).toEqual([1, 2].map((n) => `db/rp/1/${tsmName(n)}`))
    expect(await pointsOf(entries.values())).toEqual(['a 1', 'a 3', 'a 4'])
    expect(await pointsOf((await exported(2n, 2n)).values())).toEqual([])
    expect((await exported(4n, 1n)).size).toBe(0)
  })

  it('fails on a damaged file instead of leaving it out', async () => {
    const bytes = await tsmBytes({ a: [[1, 2, 3]] })
    bytes.writeUInt8(bytes.readUInt8(10) ^ 1, 10)
    await makeShardFiles(dir, { data: { [tsmName(1)]: bytes } })
    await expect(exported(2n, 2n)).rejects.toMatchObject({ code: 'E_INTEGRITY' })
    const tombstone = { '000000001-000000001.tombstone': Buffer.from('15040000', 'hex') }
    await makeShardFiles(dir, { data: tombstone })
    await expect(exported(2n, 2n)).rejects.toMatchObject({ code: 'E_FORMAT' })
  })

  it('serves all who ask at once, whoever of them gives up', async () => {
    await makeShardFiles(dir, { data: { [tsmName(1)]: await tsmBytes({ a: [[1, 2, 3]] }) } })
    const store = await openStore()
    const stop = new AbortController()
    const ask = (signal: AbortSignal) => collect((w) => store.exportShard(1n, 2n, 2n, w, signal))
    const asked = [signal, stop.signal, signal].map(ask)
    stop.abort(new Error('given up'))
    const [first, left, last] = await Promise.allSettled(asked)
    expect(left).toMatchObject({ status: 'rejected', reason: { message: 'given up' } })
    for (const tar of [first, last]) {
      const bytes = tar?.status === 'fulfilled' ? tar.value : Buffer.of()
      expect(await pointsOf((await entriesOf(bytes)).values())).toEqual(['a 2'])
    }
  })

  it('sends points that stay what they are however late a peer looks at them', async () => {
    const data: Record<string, Uint8Array> = {}
    for (const file of [1, 2]) {
      const blocks = Array.from({ length: 180 }, (_, block) =>
        Array.from({ length: 1000 }, (_, i) => (2 * block + file) * 1000 + i),
      )
      data[tsmName(file)] = await tsmBytes({ [`m${file}`]: blocks })
    }
    await makeShardFiles(dir, { data })
    const store = await openStore()
    const chunks: Buffer[] = []
    const sink = new Writable({
      highWaterMark: 1,
      async write(chunk: Buffer, _encoding, callback) {
        // Meanwhile the next file is made.
        await sleep(100)
        chunks.push(Buffer.from(chunk))
        callback()
      },
    })
    await store.exportShard(1n, 1001n, 360_998n, sink, signal)
    const entries = await entriesOf(Buffer.concat(chunks))
    const points = await pointsOf(entries.values())
    const times = Array.from({ length: 359_998 }, (_, i) => 1001 + i)
    const expected = times.map((time) => `m${Math.floor(time / 1000) % 2 === 1 ? 1 : 2} ${time}`)
    expect(points.join() === expected.sort().join()).toBe(true)
  })

  const time = fc.integer({ min: 0, max: 40 })
  const block = fc.uniqueArray(time, { minLength: 1, maxLength: 6 })
  const file = fc.record({
    times: block,
    deleted: fc.option(fc.tuple(time, time), { nil: undefined }),
  })

  it('returns exactly the points of the range, whatever lies where', async () => {
    const property = fc.asyncProperty(
      fc.array(file, { maxLength: 4 }),
      fc.array(block, { maxLength: 2 }),
      time,
      time,
      async (files, segments, start, end) => {
        dir = await tempDir('store')
        await makeMeta(dir, [1n])
        const expected: string[] = []
        const data: Record<string, Uint8Array> = {}
        const wanted = (at: number) => at >= start && at <= end
        for (const [index, { times, deleted = [50, 50] }] of files.entries()) {
          const [from = 50, to = 50] = deleted
          const sorted = times.toSorted((a, b) => a - b)
          data[tsmName(index + 1)] = await tsmBytes({ a: sorted.map((at) => [at]), b: [sorted] })
          const kept = times.filter((at) => at < from || at > to)
          expected.push(...kept.filter(wanted).map((at) => `a ${at}`))
          expected.push(...times.filter(wanted).map((at) => `b ${at}`))
          if (from <= to && from !== 50) {
            const range = { minTime: BigInt(from), maxTime: BigInt(to) }
            data[tsmName(index + 1).replace('.tsm', '.tombstone')] = encodeTombstones([
              { key: Buffer.from('a#!~#value'), ...range },
            ])
          } else {
            expected.push(
              ...times
                .filter((at) => !kept.includes(at))
                .filter(wanted)
                .map((at) => `a ${at}`),
            )
          }
        }
        const wal: Record<string, Uint8Array> = {}
        for (const [index, times] of segments.entries())
          wal[`_0000${index + 1}.wal`] = walOf(...times)
        const written = [...new Set(segments.flat())].filter(wanted)
        expected.push(...written.map((at) => `w ${at}`))
        await makeShardFiles(dir, { data, wal })
        const points = await pointsOf((await exported(BigInt(start), BigInt(end))).values())
        expect(points).toEqual(expected.sort())
      },
    )
    await fc.assert(property, { numRuns: process.env['SLOW'] === '1' ? 1000 : 40 })
  })
})
