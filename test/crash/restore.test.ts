import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { contextOf } from '../cli/harness.ts'
import { finish, type Outcome, serving, snapEnding } from '../faults/snap.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'
import { count, killAt, pointsOf, startCounted, tryAll } from './crash.ts'
import { expectNothingLeft, flagsOf, PRESENT, RESTORED, readAllOf } from './directories.ts'

const TIMEOUT = 1_800_000
const STOPPED = '--influxd-is-stopped'

/** A directory that is restored to, and one for the state of restores. */
interface Place {
  readonly root: string
  readonly env: { readonly XDG_STATE_HOME: string }
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

  async function expectRestored({ root, env }: Place, before: object): Promise<void> {
    expect(await readAllOf(root)).toEqual({ ...before, ...restored })
    await expectNothingLeft(root)
    expect(await filesOf(env.XDG_STATE_HOME)).toEqual([])
  }

  describe.each([
    ['new', 'inmem', 6],
    ['new', 'tsi1', 6],
    ['present', 'inmem', 6],
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

  const restoreTo = (host: string) => ['restore', '--host', host, '--jobs', '1', set]

  it('over the network can be gone on with', { timeout: TIMEOUT }, async () => {
    const open = async () => {
      const target = await place(present)
      const flags = [...flagsOf(target.root), '--mode', 'read-write', STOPPED]
      return { ...target, ...(await serving(flags)) }
    }
    const counted = await open()
    const points = await count(restoreTo(counted.host), counted.env)
    await counted.stop()
    await tryAll('restore over the network', { points, more: 2 }, async (point) => {
      const { host, stop, ...target } = await open()
      await killAt(point, restoreTo(host), target.env)
      await again(restoreTo(host), target.env)
      await stop()
      await expectRestored(target, await readAllOf(present))
    })
  })

  it('with its server can be gone on with', { timeout: TIMEOUT }, async () => {
    const before = await readAllOf(present)
    const flagsFor = ({ root }: Place) => [...flagsOf(root), '--mode', 'read-write', STOPPED]
    const start = (target: Place, seam: Parameters<typeof startCounted>[1]) =>
      startCounted(['serve', '--bind', '127.0.0.1:0', ...flagsFor(target)], seam)
    const hostOf = async ({ until }: ReturnType<typeof start>) =>
      (await until(/ on (127\.0\.0\.1:\d+),/).catch(() => []))[1]

    const counted = await place(present)
    const log = join(await tempDir('log'), 'calls')
    const server = start(counted, { log })
    expect((await run(restoreTo((await hostOf(server)) ?? ''), counted.env)).code).toBe(0)
    server.kill('SIGTERM')
    expect((await server.finished).code).toBe(0)
    await tryAll('server of a restore', { points: await pointsOf(log), more: 6 }, async (kill) => {
      const target = await place(present)
      const victim = start(target, { kill })
      const host = await hostOf(victim)
      const first = host === undefined ? undefined : await run(restoreTo(host), target.env)
      if (first?.code === 0) victim.kill('SIGTERM')
      else expect([undefined, 15]).toContain(first?.code)
      expect((await victim.finished).signal).toBe('SIGKILL')
      expect(await readAllOf(target.root)).toMatchObject(before)
      const next = await serving([...flagsFor(target), ...(host ? ['--bind', host] : [])])
      if (first?.code !== 0) await again(restoreTo(next.host), target.env)
      await next.stop()
      await expectRestored(target, before)
    })
  })
})
