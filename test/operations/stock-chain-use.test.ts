import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { archiveName } from '../../src/portable/index.ts'
import { newDirectory } from '../cli/commands/targets.ts'
import { snapEnding } from '../faults/snap.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { tempDir } from '../helpers/temp.ts'
import { hour } from './prune-sets.ts'
import { file, putStockSets, startOf } from './stock-sets.ts'

const SECOND_SHARD = startOf(2)
const store = new MemoryStore()

beforeAll(async () => {
  const negative = { value: (time: number) => -time }
  await putStockSets(
    store,
    { at: 10, shards: { 1: [file(1, 1, [1, 2, 3])], 2: [file(1, 1, [SECOND_SHARD])] } },
    {
      at: 11,
      shards: {
        1: [
          { generation: 1, written: 9, deleted: { series: 'm', from: 2, to: 2 } },
          file(2, 9, [3, 5], negative),
        ],
      },
    },
    { at: 12, shards: { 1: [file(3, 11, [7], negative)] } },
  )
})

const TOGETHER = ['m value=1 1', 'm value=-3 3', 'm value=-5 5', 'm value=-7 7'].concat(
  `m value=${SECOND_SHARD} ${SECOND_SHARD}`,
)

/** The sets on a disk. */
async function onDisk(): Promise<string> {
  const dir = await tempDir('stock')
  for (const [name, bytes] of store.files) await writeFile(join(dir, name), bytes)
  return dir
}

/** Restores into fresh directories, and returns the points that are there then. */
async function restoredFrom(place: string, { code = 0, words = [] as readonly string[] } = {}) {
  const { root, flags } = await newDirectory()
  const { stdout, stderr } = await snapEnding(code, 'restore', '--json', ...words, ...flags, place)
  const exported = ['export', '--data-dir', join(root, 'data'), '--format', 'lp', '-']
  const lines = (await snapEnding(0, ...exported)).stdout.split('\n')
  const points = lines.filter((line) => line.startsWith('m '))
  return { points: points.sort(byTime), document: JSON.parse(stdout), stderr }
}

const timeOf = (line: string) => Number(line.split(' ').at(-1))
const byTime = (a: string, b: string) => timeOf(a) - timeOf(b)

/** Turns a bit of the first block of an archive over. */
async function damage(dir: string, name: string): Promise<void> {
  const tar = gunzipSync(await readFile(join(dir, name)))
  const at = tar.indexOf(Buffer.from('16d116d101', 'hex')) + 20
  tar[at] = (tar[at] ?? 0) ^ 1
  await writeFile(join(dir, name), gzipSync(tar))
}

describe('a chain of influxd', () => {
  it('is restored into the directories of a stopped server', async () => {
    const dir = await onDisk()
    const { points, stderr } = await restoredFrom(dir)
    expect(points).toEqual(TOGETHER)
    expect(stderr).toContain(`put together out of the sets ${hour(10)}, ${hour(11)}, ${hour(12)}`)
    const newest = await restoredFrom(dir, { words: ['--chain', 'newest'] })
    expect(newest.points).toEqual([TOGETHER[3], TOGETHER[4]])
    const older = await restoredFrom(dir, { words: ['--set', hour(11)] })
    expect(older.points).toEqual(TOGETHER.filter((line) => !line.endsWith(' 7')))
  })

  it('is merged into directories, and drilled', async () => {
    const dir = await onDisk()
    const { root, flags } = await newDirectory()
    const merge = ['restore', '--merge', '--json', ...flags]
    await snapEnding(0, 'restore', '--set', hour(10), ...flags, dir)
    const { stdout } = await snapEnding(0, ...merge, dir)
    expect(JSON.parse(stdout)).toMatchObject({ added: 2, equal: 2, conflicting: 1 })
    const again = await snapEnding(0, ...merge, dir)
    expect(JSON.parse(again.stdout)).toMatchObject({ added: 0, equal: 4, conflicting: 1 })
    const { stdout: drilled } = await snapEnding(0, 'drill', '--json', '--influxd', 'none', dir)
    expect(JSON.parse(drilled)).toMatchObject({ kind: 'stock', differences: [] })
    expect(root).toBeDefined()
  })

  it('with a damaged archive is refused, and salvaged', async () => {
    const dir = await onDisk()
    const name = archiveName(hour(11), 1n)
    await damage(dir, name)
    const { flags } = await newDirectory()
    const { stderr } = await snapEnding(13, 'restore', ...flags, dir)
    expect(stderr).toContain(name)
    const words = ['--salvage']
    const { points, document } = await restoredFrom(dir, { code: 3, words })
    expect(document.damaged).toMatchObject([
      { message: expect.stringMatching(/wrong CRC.*: older archives are all taken$/) },
      { shardId: '1', file: name },
    ])
    expect(points).toEqual(['m value=1 1', 'm value=3 3', TOGETHER[3], TOGETHER[4]])
    await snapEnding(13, 'drill', '--influxd', 'none', dir)
    const alone = await restoredFrom(dir, { words: ['--chain', 'newest'] })
    expect(alone.points).toEqual([TOGETHER[3], TOGETHER[4]])
  })
})

describeWithS3('a chain of influxd in a bucket', () => {
  it('is restored, drilled, verified and listed from there', async () => {
    const ceph = await sharedCeph()
    const s3 = s3Client(ceph)
    const bucket = await newBucket(s3)
    for (const [name, bytes] of store.files)
      await s3.putObject({ Bucket: bucket, Key: `stock/${name}`, Body: bytes })
    const before = { ...process.env }
    Object.assign(process.env, s3Environment(ceph))
    try {
      const place = `s3://${bucket}/stock`
      const words = ['--s3-endpoint', ceph.endpoint]
      expect((await restoredFrom(place, { words })).points).toEqual(TOGETHER)
      await snapEnding(0, 'drill', ...words, '--influxd', 'none', place)
      await snapEnding(0, 'verify', ...words, '--set', hour(12), place)
      const { stdout } = await snapEnding(0, 'list', '--json', ...words, place)
      expect(JSON.parse(stdout).sets[0].chain).toEqual({ sets: 3, oldest: hour(10) })
    } finally {
      process.env = before
      s3.destroy()
    }
  })
})
