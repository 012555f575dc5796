import { chmod, cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { checkSpace, makeScratch, spaceFor } from '../../src/operations/drill-scratch.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { finishJson, worldOf } from '../cli/commands/snap.ts'
import { backedUp } from '../cli/commands/targets.ts'
import { runIn } from '../cli/harness.ts'
import { snapExpecting, startSnap } from '../helpers/cli.ts'
import { pointsIn } from '../helpers/data-directory.ts'
import { CAN_MOUNT, mountMemory } from '../helpers/file-systems.ts'
import { describeWithInfluxd, startInfluxd } from '../helpers/influxd.ts'
import { findInfluxd } from '../helpers/influxd-binary.ts'
import { loadOddData } from '../helpers/odd-data.ts'
import { tempDir } from '../helpers/temp.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures')

/** Runs a drill in a world without influxd on its path unless it is named. */
async function drill(code: number, ...words: string[]) {
  const temp = await tempDir('scratch')
  const world = await worldOf(['drill', '--json', '--temp-dir', temp, ...words])
  const outcome = await finishJson(world)
  expect(outcome.code, outcome.stderr).toBe(code)
  return { ...outcome, temp, left: await readdir(temp) }
}

/** Makes a program that runs `script`. */
async function programOf(script: string): Promise<string> {
  const path = join(await tempDir('program'), 'influxd')
  await writeFile(path, `#!/bin/sh\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

/** A drill notes how it ended beside the set. */
async function copyOf(fixture: string): Promise<string> {
  const source = await tempDir('fixture')
  await cp(join(FIXTURES, fixture), source, { recursive: true })
  return source
}

describe('snap drill without influxd', () => {
  it('restores the newest set and finds every point', async () => {
    const { document, left } = await drill(0, await backedUp())
    expect(document).toMatchObject({
      influxd: null,
      points: pointsIn().length,
      ...{ differences: [], countDifferences: [], counted: 0, unchecked: 0, kept: null },
    })
    expect(document.shards).toHaveLength(4)
    expect(document.recoveryMs).toBeGreaterThan(0)
    expect(left).toEqual([])
  })

  it.each([
    ['legacy/increments', 'legacy'],
    ['portable/two-sets', 'stock'],
  ])('restores %s', async (fixture, kind) => {
    const { document } = await drill(0, await copyOf(fixture))
    expect(document).toMatchObject({ kind, differences: [] })
    expect(document.points).toBeGreaterThan(0)
  })

  it('takes a set at random, or the newest', async () => {
    const source = await copyOf('portable/two-sets')
    for (const set of ['random', 'latest']) await drill(0, '--set', set, source)
    await drill(16, '--set', 'random', '--db', 'no such', source)
    await drill(10, '--set', 'random', await tempDir('empty'))
  })

  it('restores a part of a set', async () => {
    const { document } = await drill(0, '--db', 'two words', await backedUp())
    expect(document.shards).toMatchObject([{ database: 'two words', points: 2 }])
  })

  it('keeps what it restored if asked to', async () => {
    const { document, left } = await drill(0, '--keep', await backedUp())
    expect(left).toHaveLength(1)
    expect(await readdir(document.kept.path)).toEqual(expect.arrayContaining(['data', 'meta']))
    await rm(document.kept.path, { recursive: true })
  })

  it('refuses a damaged set, and leaves nothing', async () => {
    const set = await backedUp()
    const name = (await readdir(set)).find((file) => file.endsWith('.s1.tar.gz')) ?? ''
    const bytes = await readFile(join(set, name))
    bytes[60] = (bytes[60] ?? 0) ^ 1
    await writeFile(join(set, name), bytes)
    const { error, left } = await drill(13, set)
    expect(error?.message).toContain(name)
    expect(left).toEqual([])
  })

  it('says in words what it did', async () => {
    const words = ['drill', '--temp-dir', await tempDir('scratch'), await backedUp()]
    const world = await worldOf(words)
    await runIn(world)
    expect(world.stdout.text).toMatch(
      /recovered into a data directory in \S+: 4 shards, .*\n {2}11 points as in the backup/,
    )
  })
})

describe('the space for a drill', () => {
  it('is that of the shards, and some copies of the largest', async () => {
    const store = new LocalStore(await tempDir('store'))
    await writeFile(join(store.url, 'b'), Buffer.alloc(50))
    const shard = (name: string, tarSize: number | undefined) => ({
      ...{ database: 'd', retentionPolicy: 'r', shardId: 1n },
      parts: [{ name, tarSize, stored: undefined, open: async function* () {} }],
    })
    expect(await spaceFor([shard('a', 100), shard('b', undefined)], store)).toBe(550)
  })

  it('is looked for first', async () => {
    await checkSpace(await tempDir('space'), 1)
    await expect(checkSpace('/no/such/place', 1)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    await expect(makeScratch('/no/such/place')).rejects.toMatchObject({ code: 'E_DESTINATION' })
    await expect(checkSpace(await tempDir('space'), 2 ** 60)).rejects.toMatchObject({
      code: 'E_DESTINATION',
      hint: expect.stringContaining('--temp-dir'),
    })
  })

  it.skipIf(!CAN_MOUNT)('is not there on a small file system', async () => {
    const temp = await mountMemory('size=8k')
    const world = await worldOf(['drill', '--json', '--temp-dir', temp, await backedUp()])
    const { code, error } = await finishJson(world)
    expect(code).toBe(15)
    expect(error?.message).toContain('bytes free')
    expect(await readdir(temp)).toEqual([])
  })
})

describe('an influxd that is none', () => {
  it.each([
    ['is not there', '/no/such/influxd'],
    ['is 2.x', 'echo "InfluxDB v2.7.1 (git: x)"'],
  ])('%s is refused', async (_, what) => {
    const path = what.startsWith('/') ? what : await programOf(what)
    const { left } = await drill(2, '--influxd', path, await backedUp())
    expect(left).toEqual([])
  })

  it('is passed over on PATH', async () => {
    const path = await programOf('echo "InfluxDB v2.7.1 (git: x)"')
    const temp = await tempDir('scratch')
    const words = ['drill', '--json', '--temp-dir', temp, await backedUp()]
    const world = await worldOf(words, { PATH: `:/no/such:${join(path, '..')}` })
    expect(await finishJson(world)).toMatchObject({ code: 0, document: { influxd: null } })
  })

  it('does not start, and its log is shown', async () => {
    const path = await programOf(
      '[ "$1" = version ] && { echo "InfluxDB v1.8.10 (git: x)"; exit; }; echo out of order; exit 3',
    )
    const { error, left } = await drill(1, '--influxd', path, await backedUp())
    expect(error?.message).toContain('it ended with 3')
    expect(error?.hint).toContain('out of order')
    expect(left).toEqual([])
  })
})

describeWithInfluxd('snap drill with influxd', () => {
  const influxd = findInfluxd() ?? ''

  /** The processes of this influxd that have their configuration below a directory. */
  async function running(temp: string): Promise<string[]> {
    const found: string[] = []
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      if (line.includes('influxd') && line.includes(`${temp}/snap-drill-`)) found.push(pid)
    }
    return found.filter((pid) => pid !== String(process.pid))
  }

  it.each(['inmem', 'tsi1'])('restores into one with %s and asks it', async (index) => {
    const words = ['--influxd', influxd, '--index-version', index, '--db', 'telegraf']
    const { document, left, temp } = await drill(0, ...words, await backedUp())
    expect(document).toMatchObject({
      influxd: { path: influxd, version: expect.stringMatching(/^1\.\d+\./) },
      ...{ differences: [], countDifferences: [], counted: 3, unchecked: 0 },
    })
    expect(left).toEqual([])
    expect(await running(temp)).toEqual([])
  })

  it('finds every point of odd names, types and times, by itself and by influxd', async () => {
    const source = await startInfluxd()
    await loadOddData(source)
    const set = await tempDir('odd')
    await snapExpecting(0, ['backup', '--host', source.host, set])
    await source.dispose()
    for (const words of [
      ['--influxd', 'none'],
      ['--influxd', influxd, '--index-version', 'tsi1'],
    ]) {
      const { document } = await drill(0, ...words, set)
      expect(document).toMatchObject({ differences: [], countDifferences: [] })
      expect(document.points).toBeGreaterThan(10_000)
    }
  })

  it('names what a query does not find', async () => {
    // A measurement with a bare space: the files have it, and no query can.
    const words = ['--influxd', influxd, '--index-version', 'tsi1', '--db', 'two words']
    const { document, left } = await drill(20, ...words, await backedUp())
    expect(document.differences).toEqual([])
    expect(document.countDifferences).toMatchObject([
      { database: 'two words', measurement: 'm', field: 'value', expected: 2, got: 0 },
    ])
    expect(left).toEqual([])
  })

  it('keeps the directories and says how to start it', async () => {
    const words = ['--influxd', influxd, '--keep', '--db', 'telegraf']
    const { document, temp } = await drill(0, ...words, await backedUp())
    expect(document.kept.command).toContain('influxdb.conf')
    expect(await running(temp)).toEqual([])
    await rm(document.kept.path, { recursive: true })
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'leaves no server and no directory after %s',
    async (signal) => {
      const temp = await tempDir('scratch')
      const words = ['--influxd', influxd, '--temp-dir', temp, '--limit-rate', '100']
      const child = startSnap(['drill', ...words, '--db', 'telegraf', await backedUp()])
      while ((await running(temp)).length === 0 && child.child.exitCode === null) await sleep(10)
      child.kill(signal)
      const { code } = await child.finished
      expect(code).toBe({ SIGINT: 130, SIGTERM: 143, SIGKILL: undefined }[signal])
      const deadline = Date.now() + 10_000
      while (Date.now() < deadline) {
        if ((await readdir(temp)).length + (await running(temp)).length === 0) break
        await sleep(50)
      }
      expect(await readdir(temp)).toEqual([])
      expect(await running(temp)).toEqual([])
    },
  )
})
