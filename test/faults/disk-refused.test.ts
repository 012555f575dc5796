import { chmod, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { TsmWriter } from '../../src/tsm/writer.ts'
import { contextOf } from '../cli/harness.ts'
import { tsmName } from '../datadir/shard-files.ts'
import { makeDirectory, metastoreOf } from '../helpers/data-directory.ts'
import {
  describeWithMounts,
  leaveRoom,
  makeReadOnly,
  mountMemory,
} from '../helpers/file-systems.ts'
import {
  describeWithLimits,
  describeWithModes,
  RESTRICTED,
  withDescriptors,
} from '../helpers/rights.ts'
import { type Finished, run } from '../helpers/run.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf, treeOf } from '../helpers/tree.ts'
import { type Contents, contentsOfSet } from './contents.ts'
import { finish, type Serving, serving, snap, snapEnding } from './snap.ts'

const DATABASE = 'telegraf'

let root: string
let flags: readonly string[] = []
let set: string
let contents: Contents

beforeAll(async () => {
  const source = await makeDirectory()
  root = source.root
  flags = source.flags
  set = await tempDir('set')
  await snapEnding(0, 'backup', ...flags, set)
  contents = await contentsOfSet(set, DATABASE)
})

/** Everything that writes, to a place. */
const WRITERS: readonly (readonly [string, (place: string) => readonly string[]])[] = [
  ['backup', (place) => ['backup', ...flags, place]],
  ['export into a set', (place) => ['export', ...flags, '--start', '1970-01-01T00:00:00Z', place]],
  [
    'export into a file',
    (place) => ['export', ...flags, '--db', DATABASE, '--format', 'lp', join(place, 'd.lp')],
  ],
  [
    'export into files',
    (place) => ['export', ...flags, '--db', DATABASE, '--format', 'csv', join(place, 'd/')],
  ],
  ['restore', (place) => ['restore', '--data-dir', join(place, 'data'), set]],
]

describeWithMounts('a disk that can only be read', () => {
  it.each(WRITERS)('ends %s with 15 and what it is', async (_, words) => {
    const place = await mountMemory('size=1m')
    await mkdir(join(place, 'data'))
    makeReadOnly(place)
    const { stderr } = await snapEnding(15, ...words(place))
    expect(stderr).toContain(place)
    expect(stderr).toMatch(/EROFS|read-only/)
  })

  it('keeps serve from being read-write, and lets it and backup read', async () => {
    const place = await mountMemory('size=4m')
    await cp(root, place, { recursive: true })
    makeReadOnly(place)
    const directory = ['--data-dir', join(place, 'data')]
    const { stderr } = await snapEnding(
      15,
      ...['serve', ...directory, '--bind', '127.0.0.1:0', '--mode', 'read-write'],
    )
    expect(stderr).toContain(place)
    const { host, stop } = await serving(directory)
    for (const from of [['--host', host], directory]) {
      const target = await tempDir('target')
      await snapEnding(0, 'backup', ...from, target)
      expect(await contentsOfSet(target, DATABASE)).toEqual(contents)
    }
    expect((await stop()).code).toBe(0)
  })
})

describeWithModes('files and directories that are not ours', () => {
  /** Runs the program as a user who may not do everything. */
  const restricted = async (...args: readonly string[]): Promise<Finished> => {
    const [program = '', ...words] = [...RESTRICTED, process.execPath, join(ROOT, 'bin/snap.js')]
    return await run(program, [...words, ...args])
  }
  const expectDenied = (finished: Finished, code: number, path: string) => {
    expect(finished.code, finished.stderr).toBe(code)
    expect(finished.stderr).toContain(path)
    expect(finished.stderr).toContain('EACCES')
  }

  // A process each: those that write to sets and files are one.
  const programs = WRITERS.filter(([name]) => name === 'backup' || name === 'restore')
  it.each(programs)('end %s with 15: a target', async (_, words) => {
    const place = await tempDir('place')
    await mkdir(join(place, 'data'))
    const before = await treeOf(place)
    await chmod(place, 0o500)
    await chmod(join(place, 'data'), 0o500)
    expectDenied(await restricted(...words(place)), 15, place)
    await chmod(place, 0o700)
    await chmod(join(place, 'data'), 0o755)
    expect(Object.keys(await treeOf(place))).toEqual(Object.keys(before))
  })

  it('end backup with 14: a file of a shard, with no set begun', async () => {
    const source = await tempDir('source')
    await cp(root, source, { recursive: true })
    const [file = ''] = (await filesOf(source)).filter((name) => /telegraf.*\.tsm$/.test(name))
    await chmod(join(source, file), 0)
    const target = await tempDir('target')
    const words = ['backup', '--data-dir', join(source, 'data'), '--retries', '0', target]
    expectDenied(await restricted(...words), 14, file)
    expect(await readdir(target)).toEqual([])
  })

  it('end verify and restore: an archive', async () => {
    const copy = await tempDir('copy')
    await cp(set, copy, { recursive: true })
    const [archive = ''] = (await readdir(copy)).filter((name) => name.endsWith('.tar.gz'))
    await chmod(join(copy, archive), 0)
    expectDenied(await restricted('verify', copy), 14, archive)
    const target = await tempDir('target')
    const words = ['restore', '--data-dir', join(target, 'data'), copy]
    expectDenied(await restricted(...words), 14, archive)
    expect(await filesOf(target)).toEqual([])
  })
})

describeWithLimits('too few descriptors', () => {
  const MOST = 60
  const STRIDE = process.env.SLOW === '1' ? 1 : 3
  const works: readonly (readonly [string, (place: string) => readonly string[]])[] = [
    ...WRITERS,
    ['verify', () => ['verify', '--deep', set]],
  ]

  it.each(works)('end %s with what is missing, and nothing left', async (_, words) => {
    const place = await tempDir('place')
    // What is loaded once needs no descriptor any more.
    await snapEnding(0, ...words(await tempDir('warm')))
    let failed = 0
    // One is needed to begin at all.
    for (let count = 1; count < MOST; count += STRIDE) {
      const { code, stderr } = await withDescriptors(count, () => snap(...words(place)))
      if (code === 0) break
      expect([14, 15], stderr).toContain(code)
      expect(stderr).toMatch(/EMFILE|too many files are open/)
      // A place that was empty is that of an empty influxd then.
      const left = await filesOf(place)
      expect(left.filter((path) => path !== 'meta/meta.db')).toEqual([])
      if (left.length > 0) expect((await metastoreOf({ root: place })).databases).toEqual([])
      failed += 1
    }
    expect(failed).toBeGreaterThan(0)
    expect(failed).toBeLessThan(MOST)
  })
})

describe('a target that is removed meanwhile', () => {
  it('ends backup with 15', async () => {
    const target = await tempDir('target')
    const context = contextOf(['backup', ...flags, '--limit-rate', '2k', '--jobs', '1', target])
    const ended = finish(context)
    await vi.waitFor(async () => {
      expect((await readdir(target)).join()).toContain('.tar.gz.pending')
    }, 10_000)
    await rm(target, { recursive: true })
    const { code, stderr } = await ended
    expect(code, stderr).toBe(15)
    expect(stderr).toContain(target)
    expect(await readdir(target).catch(() => [])).toEqual([])
  })
})

/** A shard of which a file is too large to be kept in memory. */
async function makeLarge(): Promise<string> {
  const place = await tempDir('large')
  const points = 1_200_000
  const times = BigInt64Array.from({ length: points }, (_, i) => BigInt(i) * 1000n)
  const values = Float64Array.from({ length: points }, (_, i) => Math.sin(i) * i)
  const spec = { large: { autogen: { shards: [{ id: 1, hour: 0, files: [{ m: [1] }] }] } } }
  await cp((await makeDirectory(spec)).root, place, { recursive: true })
  const chunks: Uint8Array[] = []
  const writer = new TsmWriter(async (chunk) => void chunks.push(chunk))
  await writer.writeValues(Buffer.from('m#!~#value'), { type: 'float', times, values })
  await writer.finish()
  await writeFile(join(place, 'data/large/autogen/1', tsmName(1)), Buffer.concat(chunks))
  return join(place, 'data')
}

describeWithMounts('a temporary directory', () => {
  let served: Serving
  let large: string
  beforeAll(async () => {
    served = await serving(['--data-dir', await makeLarge()])
    large = await tempDir('large-set')
    await snapEnding(0, 'backup', '--host', served.host, large)
  })
  afterAll(async () => {
    await served?.stop()
  })

  const tasks: readonly (readonly [string, (place: string) => readonly string[]])[] = [
    ['backup', (place) => ['backup', '--host', served.host, '--retries', '0', place]],
    ['export', (place) => ['export', '--host', served.host, '--format', 'lp', join(place, 'd.lp')]],
    ['verify', () => ['verify', '--deep', large]],
    ['drill', () => ['drill', large]],
  ]

  describe.each([
    ['full', async (temp: string): Promise<unknown> => await leaveRoom(temp, { pages: 1 })],
    ['not to be written to', async (temp: string): Promise<unknown> => makeReadOnly(temp)],
  ] as const)('that is %s', (_, spoil) => {
    it.each(tasks)('ends %s with 15 and its name, unless it can do without', async (__, words) => {
      const temp = await mountMemory('size=256k')
      await spoil(temp)
      const place = await tempDir('place')
      const { code, stderr } = await snap(...words(place), '--temp-dir', temp)
      if (code === 0) {
        // Read where it lies, through seek points.
        expect(words(place)[0]).toBe('verify')
        return
      }
      expect(code, stderr).toBe(15)
      expect(stderr).toContain(temp)
      expect(await filesOf(place)).toEqual([])
      expect((await readdir(temp)).filter((name) => name !== 'filler')).toEqual([])
    })
  })
})
