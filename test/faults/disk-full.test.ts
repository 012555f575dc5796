import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { type DirectorySpec, HOUR, makeDirectory, metastoreOf } from '../helpers/data-directory.ts'
import { describeWithMounts, leaveRoom, mountMemory, type Room } from '../helpers/file-systems.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { writeEntry } from '../wal/encode.ts'
import { type Contents, contentsOfServer, contentsOfSet } from './contents.ts'
import { type Outcome, serving, snap, snapEnding } from './snap.ts'

const timesFrom = (hour: number, count: number) =>
  Array.from({ length: count }, (_, i) => hour * HOUR + i * i * 1009)

/** Enough for some pages in each file. */
const SPEC: DirectorySpec = {
  d: {
    autogen: {
      shards: [
        { id: 1, hour: 0, files: [{ m: timesFrom(0, 1500) }, { n: timesFrom(0, 700) }] },
        { id: 2, hour: 1, files: [{ m: timesFrom(1, 900) }], wal: { m: [2 * HOUR - 1] } },
      ],
    },
  },
}

/** Something that writes to a file system of its own. */
interface Work {
  readonly name: string
  /** Prepares the directory it writes to, which keeps what is in it then. */
  readonly prepare?: (dir: string) => Promise<void>
  readonly words: (dir: string) => readonly string[]
  /** Holds a run that ended with 0 to the data. */
  readonly check: (dir: string) => Promise<void>
}

/** All files as they are, and what a metastore holds: its number of changes moves on even when they are taken back. */
async function stateOf(dir: string) {
  const { 'meta/meta.db': meta, ...files } = await treeOf(dir)
  return { files, databases: meta && (await metastoreOf({ root: dir })) }
}

/** In pages; every second step is enough for a quick run. */
const STRIDE = process.env.SLOW === '1' ? 1 : 2

/** Room to begin with, and how many more of it for each next try. */
const ROOMS: readonly (readonly [string, (step: number) => Room])[] = [
  ['bytes', (step) => ({ pages: step * STRIDE })],
  ['files', (step) => ({ files: step })],
]
const MOST_STEPS = 120

describeWithMounts('a full disk', () => {
  let flags: readonly string[] = []
  let older: string
  let contents: Contents

  beforeAll(async () => {
    flags = (await makeDirectory(SPEC)).flags
    older = await tempDir('older')
    await snapEnding(0, 'backup', ...flags, older)
    contents = await contentsOfSet(older, 'd')
  })

  const withOlder = async (dir: string) => {
    await snapEnding(0, 'backup', ...flags, dir)
  }
  const checkSets = async (dir: string) => {
    expect(await contentsOfSet(dir, 'd')).toEqual(contents)
    await snapEnding(0, 'verify', '--deep', dir)
  }
  const exported = (format: string, name: string): Work => {
    const words = (dir: string) => ['export', ...flags, '--format', format, join(dir, name)]
    return {
      name: `export --format ${format} to ${name}`,
      words,
      check: async (dir) => {
        const whole = await tempDir('whole')
        await snapEnding(0, ...words(whole))
        expect(await treeOf(dir)).toEqual(await treeOf(whole))
      },
    }
  }
  const WORKS: readonly Work[] = [
    {
      name: 'backup',
      prepare: withOlder,
      words: (dir) => ['backup', ...flags, dir],
      check: checkSets,
    },
    {
      name: 'backup --compression none --jobs 4',
      words: (dir) => ['backup', ...flags, '--compression', 'none', '--jobs', '4', dir],
      check: checkSets,
    },
    {
      name: 'export into a set',
      words: (dir) => ['export', ...flags, '--start', '1970-01-01T00:00:00Z', dir],
      check: checkSets,
    },
    exported('lp', 'd.lp'),
    exported('csv', 'tables/'),
    exported('parquet', 'tables/'),
    {
      name: 'restore into directories',
      prepare: async (dir) => {
        await snapEnding(0, 'restore', '--data-dir', join(dir, 'data'), '--newdb', 'kept', older)
      },
      words: (dir) => ['restore', '--data-dir', join(dir, 'data'), older],
      check: async (dir) => {
        for (const name of ['d', 'kept']) {
          const directory = { dataDir: join(dir, 'data'), env: {} }
          const place = { directory, mode: 'read-only' } as const
          expect(await contentsOfServer(place, name)).toEqual(contents)
        }
      },
    },
    {
      name: 'restore --merge into directories',
      prepare: async (dir) => {
        await snapEnding(0, 'restore', '--data-dir', join(dir, 'data'), older)
        const points = timesFrom(0, 100).map((time) => [BigInt(time), -1] as const)
        const entry = writeEntry({ type: 'float', key: 'm#!~#value', points })
        await writeFile(join(dir, 'wal/d/autogen/1/_00001.wal'), entry)
      },
      words: (dir) => {
        const words = ['restore', '--merge', '--on-conflict', 'backup', '--shard', '1']
        return [...words, '--data-dir', join(dir, 'data'), older]
      },
      check: async (dir) => {
        const directory = { dataDir: join(dir, 'data'), env: {} }
        const place = { directory, mode: 'read-only' } as const
        expect(await contentsOfServer(place, 'd')).toEqual(contents)
      },
    },
  ]

  describe.each(WORKS)('ends $name', ({ prepare, words, check }) => {
    it.each(ROOMS)('with 15 and nothing left, however many %s it has room for', async (_, room) => {
      const mounted = await mountMemory('size=1m,nr_inodes=100')
      const dir = join(mounted, 'place')
      await mkdir(dir)
      await prepare?.(dir)
      const before = await stateOf(dir)
      let failed = 0
      for (let step = 0; step < MOST_STEPS; step++) {
        const giveBack = await leaveRoom(mounted, room(step))
        const run = await snap(...words(dir))
        await giveBack()
        if (run.code === 0) break
        expectFull(run, mounted)
        expect(await stateOf(dir), `with room for ${step}`).toEqual(before)
        failed += 1
      }
      expect(failed).toBeGreaterThan(1)
      await check(dir)
    })
  })

  function expectFull({ code, stderr }: Outcome, mounted: string): void {
    expect(code, stderr).toBe(15)
    expect(stderr).toContain(mounted)
    expect(stderr).toContain('ENOSPC')
    expect(stderr).toMatch(/hint: (free some space|what was made on .* was removed again)/)
  }

  it('of a server refuses uploads whole, and the next ones are taken', async () => {
    const mounted = await mountMemory('size=2m,nr_inodes=300')
    const place = (kind: string) => join(mounted, kind)
    const { host, stop } = await serving([
      ...directoryFlags({ data: place('data'), wal: place('wal'), meta: place('meta') }),
      ...['--mode', 'read-write', '--influxd-is-stopped'],
    ])
    onTestFinished(async () => void (await stop()))
    const restore = async (name: string) =>
      await snap('restore', '--host', host, '--db', 'd', '--newdb', name, '--retries', '0', older)
    let failed = 0
    for (let step = 0; step < MOST_STEPS; step += STRIDE) {
      const giveBack = await leaveRoom(mounted, { pages: step })
      const name = `r${step}`
      const run = await restore(name)
      await giveBack()
      if (run.code === 0) break
      expect(run.code, run.stderr).toBe(15)
      expect(run.stderr).toContain(host)
      failed += 1
    }
    expect(failed).toBeGreaterThan(2)
    expect((await restore('after')).code).toBe(0)
    expect(await contentsOfServer({ host }, 'after')).toEqual(contents)
    for (const { name } of (await new Client(host).metastoreBackup()).databases) {
      for (const [shard, held] of Object.entries(await contentsOfServer({ host }, name))) {
        expect([contents[shard], 'nothing']).toContain(held)
      }
    }
    const files = await readdir(mounted, { recursive: true, withFileTypes: true })
    const odd = files.filter(
      (file) => file.isFile() && !/\.tsm$|^meta\.db$|\.snap\.lock$/.test(file.name),
    )
    expect(odd.map(({ name }) => name)).toEqual([])
  })
})
