import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { ArchivePart } from '../../src/operations/restorable.ts'
import { pathsIn } from '../datadir/shard-files.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { backUp, namesOf } from './sets.ts'
import { DAY, points, type ShardFixture } from './shards.ts'

const { signal } = new AbortController()
type Module<T> = Promise<T>
// Threads have a program where there is a build.
const built = (path: string) => import(pathToFileURL(`${ROOT}/dist/${path}`).href)
const { startLanes, stageShard, stageablePart } = await (built(
  'operations/stage-shard.js',
) as Module<typeof import('../../src/operations/stage-shard.ts')>)
const { openStagingArea } = await (built('datadir/staging-area.js') as Module<
  typeof import('../../src/datadir/staging-area.ts')
>)
const { LocalStore } = await (built('storage/local.js') as Module<
  typeof import('../../src/storage/local.ts')
>)
const { openRestorable } = await (built('operations/open-restorable.js') as Module<
  typeof import('../../src/operations/open-restorable.ts')
>)

const SHARDS = [1n, 2n, 3n].map(
  (id): ShardFixture => ({
    ...{ id, database: 'db', retentionPolicy: 'rp', day: id },
    files: [{ points: { 'm,host=a#!~#v': points('float', [[id * DAY, Number(id)]]) } }],
  }),
)
const part = { name: 'x', stored: { size: 2 ** 30, sha256: '' }, tarSize: 1 } as ArchivePart
const LARGE = { database: 'db', retentionPolicy: 'rp', shardId: 1n, parts: [part] }

/** A set of three shards in a directory, damaged if that is asked. */
async function storedSet(damage = (bytes: Uint8Array) => bytes) {
  const { store } = await backUp(SHARDS, { compression: 'none' })
  const [damaged] = namesOf(store, '.tar.gz')
  const directory = await tempDir('set')
  for (const [name, bytes] of store.files) {
    await writeFile(join(directory, name), name === damaged ? damage(bytes) : bytes)
  }
  const local = new LocalStore(directory)
  return { local, backup: await openRestorable(local, {}, { signal }) }
}

/** Stages the set, and returns what of it was staged, or what was wrong, and what is there then and in the end. */
async function stageAll(
  { local, backup }: Awaited<ReturnType<typeof storedSet>>,
  { jobs, stop = new AbortController() }: { jobs: number; stop?: AbortController },
) {
  const root = await tempDir('staged')
  const paths = pathsIn(root)
  const area = await openStagingArea(paths, true)
  const lanes = startLanes([LARGE], jobs)
  const run = async (shard: (typeof backup.shards)[number]) => {
    const archive = stageablePart(shard)
    if (archive === undefined) throw new Error('not stageable')
    const options = { store: local, staging: { area, lanes }, tempDir: root, size: undefined }
    const how = { ...options, onBytes: () => {}, signal: stop.signal }
    const { staged } = await stageShard(shard, archive, how)
    return staged?.files.map(({ name, size, crc }) => ({ name, size, crc }))
  }
  const results = await Promise.allSettled(backup.shards.map(run))
  const bytes = Object.entries(await treeOf(root)).filter(([path]) => path.endsWith('.tsm'))
  const contents = bytes.map(([path, what]) => [path.replace(/^.*pending/, ''), what])
  await area.close()
  const outcomes = results.map((result) =>
    result.status === 'fulfilled' ? result.value : [result.reason.code, result.reason.message],
  )
  return { outcomes, contents, left: Object.keys(await treeOf(root)), lanes: lanes.length }
}

describe.skipIf(availableParallelism() === 1)('threads that stage shards', () => {
  it('are none where there is little to stage', () => {
    expect(startLanes([], 4)).toEqual([])
    expect(startLanes([LARGE], 1)).toHaveLength(1)
  })

  it('write what this one writes', async () => {
    const set = await storedSet()
    const here = await stageAll(set, { jobs: 0 })
    const there = await stageAll(set, { jobs: 2 })
    expect([here.lanes, there.lanes]).toEqual([0, 2])
    expect(there.outcomes).toEqual(here.outcomes)
    expect(there.contents).toEqual(here.contents)
    expect(there.contents).toHaveLength(SHARDS.length)
    expect(there.left).toEqual(here.left)
  })

  it.each([
    ['cut', (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ['changed', (bytes: Uint8Array) => bytes.with(900, (bytes[900] ?? 0) ^ 1)],
  ])('say of an archive that was %s what this one says', async (_, damage) => {
    const set = await storedSet(damage)
    const here = await stageAll(set, { jobs: 0 })
    const there = await stageAll(set, { jobs: 2 })
    expect(here.outcomes[0]).toEqual(['E_INTEGRITY', expect.stringContaining('.tar.gz: ')])
    expect(there.outcomes).toEqual(here.outcomes)
    expect(there.left).toEqual(here.left)
  })

  it('stop with the run', async () => {
    const stop = new AbortController()
    const set = await storedSet()
    const reason = Object.assign(new Error('stopped'), { code: 'E_INTERRUPTED' })
    setImmediate(() => stop.abort(reason))
    const { outcomes } = await stageAll(set, { jobs: 2, stop })
    expect(outcomes).toEqual(SHARDS.map(() => ['E_INTERRUPTED', 'stopped']))
  })
})
