import { describe, expect, it } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { openRestorable } from '../../src/operations/open-restorable.ts'
import type { Restorable } from '../../src/operations/restorable.ts'
import { checkShard } from '../../src/operations/restore-check.ts'
import type { ShardContent } from '../../src/operations/restore-content.ts'
import { type Loss, salvageShard } from '../../src/operations/salvage.ts'
import { sourcesOf } from '../../src/operations/tsm-sources.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { backUp, namesOf } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const SLOW = process.env['SLOW'] === '1'
const FLIPS = SLOW ? 4000 : 80
const TEMP = await tempDir('salvage')
const { signal } = new AbortController()

/** Floats that do not compress, so that a stored archive is long and a packed one has several blocks. */
function noisy(from: bigint, count: number) {
  let seed = Number(from % 97n) + 1
  return points(
    'float',
    Array.from({ length: count }, (_, i) => {
      seed = (seed * 16807) % 2147483647
      return [from + BigInt(i) * 1_000_003n, Math.sin(seed) * 1e9] as const
    }),
  )
}

const shard: ShardFixture = {
  ...{ id: 7n, database: 'd', retentionPolicy: 'r', day: 1n },
  files: [
    {
      points: { 'a#!~#v': noisy(DAY, 900), 'b,host=x#!~#v': noisy(DAY + 5n, 900) },
      deleted: [{ key: 'a#!~#v', time: DAY }],
    },
    { points: { 'b,host=x#!~#v': noisy(DAY + 2_000_000_000n, 700), 'c#!~#w': noisy(DAY, 10) } },
  ],
}

const small: ShardFixture = {
  ...shard,
  id: 8n,
  files: [
    {
      points: { 'a#!~#v': noisy(DAY, 20), 'b#!~#v': noisy(DAY, 20) },
      deleted: [{ key: 'a#!~#v', time: DAY }],
    },
    { points: { 'b#!~#v': noisy(DAY + 1_000_000_000n, 10) } },
  ],
}

/** Takes away what only snap writes. */
function stockOf(store: MemoryStore): MemoryStore {
  const files = [...store.files]
    .filter(([name]) => !/\.s\d+\.json$|\.snap\.json$/.test(name))
    .map(([name, bytes]) => {
      if (!name.endsWith('.manifest')) return [name, bytes.slice()] as const
      const { snapCatalog: _, ...manifest } = JSON.parse(Buffer.from(bytes).toString())
      return [name, Buffer.from(JSON.stringify(manifest))] as const
    })
  return new MemoryStore(files)
}

async function backupIn(store: MemoryStore): Promise<Restorable> {
  return await openRestorable(store, {})
}

/** The points of a shard's content, one line each. */
async function pointsOf(content: ShardContent | undefined): Promise<Set<string>> {
  const files = new Map()
  for await (const { name, body } of content?.entries(signal) ?? []) {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    files.set(name.split('/').at(-1), bytesAccess(Buffer.concat(chunks), name))
  }
  const lines = new Set<string>()
  for await (const { key, blocks } of mergeTsm(await sourcesOf(files))) {
    for await (const block of blocks) {
      block.times.forEach((time, i) => {
        const value = block.type === 'string' ? '' : block.values[i]
        lines.add(`${Buffer.from(key)} ${time} ${value}`)
      })
    }
  }
  return lines
}

async function salvage(store: MemoryStore) {
  const backup = await backupIn(store)
  const [stored] = backup.shards
  if (stored === undefined) throw new Error('no shard')
  const options = { store, backup, tempDir: TEMP, signal }
  const isWhole = await checkShard(stored, options).then(
    () => true,
    () => false,
  )
  return { isWhole, ...(await salvageShard(stored, options)) }
}

function timeOf(line: string): bigint {
  return BigInt(line.split(' ').at(-2) ?? '')
}

function isTold(line: string, losses: readonly Loss[]): boolean {
  const time = timeOf(line)
  return losses.some(({ minTime = 0n, maxTime = 0n }) => minTime <= time && time <= maxTime)
}

const isVague = ({ message }: Loss) =>
  /names of series may be wrong|may be back|breaks off/.test(message)

describe.each([
  ['a large shard', shard],
  ['a small shard', small],
])('of %s', (_, fixture) => {
  describe.each(['gzip', 'none'] as const)('with compression %s', (compression) => {
    describe.each(['snap', 'stock'] as const)('in a %s set', (kind) => {
      it('keeps what is right and tells what is lost, whichever bit is turned over', async () => {
        const { store: made } = await backUp([fixture], { compression })
        const whole = kind === 'snap' ? made : stockOf(made)
        const { content, losses } = await salvage(whole)
        const all = await pointsOf(content)
        expect(kind === 'snap' ? losses : []).toEqual([])
        const [archive = ''] = namesOf(whole, '.tar.gz')
        const length = whole.files.get(archive)?.length ?? 0
        for (let flip = 0; flip < FLIPS; flip++) {
          const store = whole.copy()
          const bytes = store.files.get(archive) ?? new Uint8Array()
          const at = Math.floor((flip * length) / FLIPS)
          bytes[at] = (bytes[at] ?? 0) ^ (1 << (flip % 8))
          const found = await salvage(store)
          const where = `bit ${flip % 8} of byte ${at}`
          if (found.isWhole) continue
          const restored = await pointsOf(found.content)
          if (found.losses.some(isVague)) continue
          const wrong = [...restored].filter((line) => !all.has(line))
          expect(wrong, where).toEqual([])
          const untold = [...all].filter(
            (line) => !restored.has(line) && !isTold(line, found.losses),
          )
          // Times of an index that is damaged too may be off a little.
          expect(untold.length, where).toBeLessThanOrEqual(all.size / 100)
        }
      }, 120_000)

      it('tells what is lost of an archive that is cut', async () => {
        const { store: made } = await backUp([fixture], { compression })
        const whole = kind === 'snap' ? made : stockOf(made)
        const all = await pointsOf((await salvage(whole)).content)
        const [archive = ''] = namesOf(whole, '.tar.gz')
        const bytes = whole.files.get(archive) ?? new Uint8Array()
        for (let part = 0; part < 20; part++) {
          const store = whole.copy()
          store.files.set(archive, bytes.subarray(0, Math.floor((part * bytes.length) / 20)))
          const { content, losses } = await salvage(store)
          const restored = await pointsOf(content)
          expect([...restored].filter((line) => !all.has(line))).toEqual([])
          const untold = [...all].filter((line) => !restored.has(line) && !isTold(line, losses))
          expect(untold).toEqual([])
          expect(losses.length).toBeGreaterThan(0)
        }
      }, 60_000)
    })
  })
})

describe('the salvage of a shard', () => {
  it('loses one block and no more where one is damaged', async () => {
    const { store } = await backUp([shard], { compression: 'none' })
    const [archive = ''] = namesOf(store, '.tar.gz')
    const all = await pointsOf((await salvage(store)).content)
    const bytes = store.files.get(archive) ?? new Uint8Array()
    const tsm = Buffer.from(bytes).indexOf(Buffer.from('16d116d101', 'hex'))
    bytes[tsm + 100] = (bytes[tsm + 100] ?? 0) ^ 1
    const { content, losses } = await salvage(store)
    expect(losses).toMatchObject([
      {
        ...{ shardId: 7n, database: 'd', retentionPolicy: 'r' },
        ...{ file: archive, part: '000000001-000000001.tsm', minTime: DAY },
        message: expect.stringContaining('1 blocks of a are damaged'),
      },
    ])
    const restored = await pointsOf(content)
    expect(restored.size).toBe(all.size - 899)
    expect([...restored].filter((line) => line.startsWith('a#'))).toEqual([])
  })

  it('finds the files of a damaged tar header by the sidecar, and without one says that a file is lost', async () => {
    const { store } = await backUp([small], { compression: 'none' })
    const all = await pointsOf((await salvage(store)).content)
    for (const [damaged, isLost] of [
      [store, false],
      [stockOf(store), true],
    ] as const) {
      const [archive = ''] = namesOf(damaged, '.tar.gz')
      const bytes = damaged.files.get(archive) ?? new Uint8Array()
      const at = Buffer.from(bytes).indexOf('000000002-000000001.tsm')
      bytes[at] = 0x31
      const { content, losses } = await salvage(damaged)
      const restored = await pointsOf(content)
      expect(restored.size < all.size).toBe(isLost)
      expect(losses.map(({ message }) => message).join()).toMatch(
        isLost ? /the file behind it is lost/ : /^$/,
      )
    }
  })

  it('does without a sidecar that is damaged too', async () => {
    const { store } = await backUp([small], { compression: 'none' })
    const [sidecar = ''] = namesOf(store, '.s8.json')
    const [archive = ''] = namesOf(store, '.tar.gz')
    store.files.set(sidecar, new Uint8Array())
    const bytes = store.files.get(archive) ?? new Uint8Array()
    const tsm = Buffer.from(bytes).indexOf(Buffer.from('16d116d101', 'hex'))
    bytes[tsm + 20] = (bytes[tsm + 20] ?? 0) ^ 1
    const { content, losses } = await salvage(store)
    expect((await pointsOf(content)).size).toBeGreaterThan(10)
    expect(losses.length).toBeGreaterThan(0)
  })

  it('says that deleted points may be back where the deletions are damaged', async () => {
    const { store } = await backUp([small], { compression: 'none' })
    const [archive = ''] = namesOf(store, '.tar.gz')
    const bytes = store.files.get(archive) ?? new Uint8Array()
    const magic = Buffer.from(bytes).indexOf(Buffer.from('00001504', 'hex'))
    bytes.fill(0xff, magic + 14, magic + 30)
    const { content, losses } = await salvage(store)
    expect(losses.some(({ message }) => message.includes('may be back'))).toBe(true)
    expect(
      (await pointsOf(content)).has(`a#!~#v ${DAY} ${small.files[0]?.points['a#!~#v']?.values[0]}`),
    ).toBe(true)
  })

  it('has no content where nothing is left', async () => {
    const { store } = await backUp([small], { compression: 'gzip' })
    const [archive = ''] = namesOf(store, '.tar.gz')
    store.files.set(archive, new Uint8Array(100))
    const { content, losses } = await salvage(store)
    expect(content).toBeUndefined()
    expect(losses.length).toBe(3)
  })

  it('fails as the store does when it cannot be asked', async () => {
    const { store } = await backUp([small])
    const backup = await backupIn(store)
    const stopped = AbortSignal.abort(new Error('enough'))
    const [stored] = backup.shards
    if (stored === undefined) throw new Error('no shard')
    const options = { store, backup, tempDir: '/no/such/directory', signal: stopped }
    store.read = async function* () {
      yield* []
      throw new Error('the store is gone')
    }
    await expect(salvageShard(stored, options)).rejects.toThrow()
  })
})
