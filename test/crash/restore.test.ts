import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { contextOf } from '../cli/harness.ts'
import { finish, type Outcome, snapEnding } from '../faults/snap.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'
import { count, evenly, expectPlaces, type KillPoint, killAt, pointsOf, tryAll } from './crash.ts'
import { expectNothingLeft, flagsOf, PRESENT, RESTORED, readAllOf } from './directories.ts'
import { startServer, withServer } from './server.ts'

const TIMEOUT = 1_800_000
const STOPPED = '--influxd-is-stopped'

/** A directory that is restored to, and one for the state of restores. */
interface Place {
  readonly root: string
  readonly env: { readonly XDG_STATE_HOME: string }
}

/** Runs the same again, and with --resume if that is what it says; if neither, all of it had been done. */
async function again(words: readonly string[], env: Place['env']): Promise<void> {
  const first = await run(words, env)
  if (first.code === 17 && !first.stderr.includes('--resume goes on')) return
  const { code, stderr } = first.code === 17 ? await run([...words, '--resume'], env) : first
  expect(code, stderr).toBe(0)
}

function run(words: readonly string[], env: Place['env']): Promise<Outcome> {
  return finish(contextOf(words, { env }))
}

describe('a restore that is killed', () => {
  let set: string
  let restored: Awaited<ReturnType<typeof readAllOf>>
  /** Directories with a database of their own. */
  let present: string

  beforeAll(async () => {
    const source = await makeDirectory(RESTORED)
    set = await tempDir('set')
    await snapEnding(0, 'backup', ...source.flags, set)
    restored = await readAllOf(source.root)
    present = (await makeDirectory(PRESENT)).root
  })

  async function place(from?: string): Promise<Place> {
    const root = join(await tempDir('target'), 'influxdb')
    if (from === undefined) await mkdir(root)
    else await cp(from, root, { recursive: true })
    return { root, env: { XDG_STATE_HOME: await tempDir('state') } }
  }

  async function expectRestored({ root, env }: Place, before: object): Promise<void> {
    expect(await readAllOf(root)).toEqual({ ...before, ...restored })
    await expectNothingLeft(root)
    expect(await filesOf(env.XDG_STATE_HOME)).toEqual([])
  }

  describe.each([
    ['new', 'inmem', 1],
    ['new', 'tsi1', 2],
    ['present', 'inmem', 2],
  ])('in %s directories for %s', (kind, indexVersion, more) => {
    it('leaves what influxd opens, and can be gone on with', { timeout: TIMEOUT }, async () => {
      const from = kind === 'new' ? undefined : present
      const before = from === undefined ? {} : await readAllOf(from)
      const wordsFor = ({ root }: Place) => {
        const options = ['--jobs', '1', '--index-version', indexVersion, STOPPED]
        return ['restore', ...flagsOf(root), ...options, set]
      }
      const counted = await place(from)
      const points = await count(wordsFor(counted), counted.env)
      const title = `restore into ${kind} directories for ${indexVersion}`
      await expectPlaces(title, points)
      await tryAll(title, { points, more }, async (point) => {
        const target = await place(from)
        const words = wordsFor(target)
        await killAt(point, words, target.env)
        expect(await readAllOf(target.root)).toMatchObject(before)
        await again(words, target.env)
        await expectRestored(target, before)
      })
    })
  })

  it('over the network can be gone on with', { timeout: TIMEOUT }, async () => {
    const before = await readAllOf(present)
    let points: KillPoint[] = []
    const counted = await place(present)
    await withServer(counted.root, async (host) => {
      points = await count(restoreTo(host), counted.env)
    })
    await expectPlaces('restore over the network', points)
    await tryAll('restore over the network', { points, more: 1 }, async (point) => {
      const target = await place(present)
      await withServer(target.root, async (host) => {
        await killAt(point, restoreTo(host), target.env)
        await again(restoreTo(host), target.env)
      })
      await expectRestored(target, before)
    })
  })

  it('with its server can be gone on with', { timeout: TIMEOUT }, async () => {
    const before = await readAllOf(present)
    const counted = await place(present)
    const log = join(await tempDir('log'), 'calls')
    const { host, running } = await startServer(counted.root, { log })
    expect((await run(restoreTo(host ?? ''), counted.env)).code).toBe(0)
    running.kill('SIGTERM')
    expect((await running.finished).code).toBe(0)
    const points = await pointsOf(log)
    await expectPlaces('snap serve during a restore', points)
    await tryAll('snap serve during a restore', { points, more: 2 }, async (kill) => {
      const target = await place(present)
      const { host, running } = await startServer(target.root, { kill })
      const first = host === undefined ? undefined : await run(restoreTo(host), target.env)
      if (first?.code === 0) running.kill('SIGTERM')
      else expect([undefined, 15]).toContain(first?.code)
      expect((await running.finished).signal).toBe('SIGKILL')
      expect(await readAllOf(target.root)).toMatchObject(before)
      const goOn = async (same: string) => {
        if (first?.code !== 0) await again(restoreTo(same), target.env)
      }
      await withServer(target.root, goOn, host)
      await expectRestored(target, before)
    })
  })

  const restoreTo = (host: string) => ['restore', '--host', host, '--jobs', '1', set]
})

describeWithInfluxd('directories of a restore that was killed', () => {
  it.each(['inmem', 'tsi1'] as const)(
    'are opened by influxd (%s)',
    { timeout: TIMEOUT },
    async (indexVersion) => {
      const source = await startInfluxd({ indexVersion, dir: await tempDir('source') })
      await source.query('CREATE DATABASE d')
      await source.write(['m,t=a v=1 1', 'm,t=b v=2 2', 'm,t=a v=3 700000000000000'], { db: 'd' })
      const wanted = await dumpAll(source)
      await source.stop()
      const set = await tempDir('set')
      await snapEnding(0, 'backup', ...flagsOf(source.root), set)
      const target = await startInfluxd({ indexVersion, dir: await tempDir('present') })
      await target.query('CREATE DATABASE present')
      await target.write('mine v=1 1', { db: 'present' })
      const mine = await dumpAll(target)
      await target.stop()

      const copy = async () => {
        const root = await tempDir('target')
        await cp(target.root, root, { recursive: true })
        const words = ['restore', '--jobs', '1', '--influxd-is-stopped', ...flagsOf(root), set]
        return { root, words, env: { XDG_STATE_HOME: await tempDir('state') } }
      }
      const counted = await copy()
      const all = await count(counted.words, counted.env)
      const row = `restore beside a database of influxd, ${indexVersion}`
      await expectPlaces(row, all)
      await tryAll(row, { points: evenly(all, 1), more: 2 }, async (point) => {
        const { root, words, env } = await copy()
        await killAt(point, words, env)
        const server = await startInfluxd({ indexVersion, dir: root })
        expect(await dumpAll(server, { db: 'present' })).toEqual(mine)
        await server.stop()
        await again(words, env)
        await server.start()
        expect(await dumpAll(server)).toEqual([...wanted, ...mine].sort())
        await server.dispose()
      })
      await source.dispose()
      await target.dispose()
    },
  )
})
