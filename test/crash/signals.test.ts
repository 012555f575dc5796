import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { contextOf } from '../cli/harness.ts'
import { finish, snapEnding } from '../faults/snap.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'
import { count, evenly, pointsOf, startCounted, tryAll } from './crash.ts'
import { expectNothingLeft, flagsOf, RESTORED, readAllOf } from './directories.ts'
import { startServer } from './server.ts'

const TIMEOUT = 1_800_000
const CODES = { SIGINT: 130, SIGTERM: 143 } as const

describe('a run that is stopped', () => {
  let source: readonly string[]
  let set: string

  beforeAll(async () => {
    source = (await makeDirectory(RESTORED)).flags
    set = await tempDir('set')
    await snapEnding(0, 'backup', ...source, set)
  })

  /** A run and what it may leave when it is stopped. */
  interface Job {
    readonly words: (place: string) => readonly string[]
    readonly more: number
    /** True for files that stay. */
    readonly stays?: (path: string) => boolean
  }
  const jobs: Readonly<Record<string, Job>> = {
    backup: { words: (place) => ['backup', '--jobs', '1', ...source, place], more: 3 },
    export: {
      words: (place) => ['export', '--format', 'csv', '--db', 'telegraf', ...source, `${place}/`],
      more: 2,
    },
    restore: {
      words: (place) => {
        return ['restore', '--jobs', '1', ...flagsOf(place), '--influxd-is-stopped', set]
      },
      more: 3,
      stays: (path) => path === 'meta/meta.db',
    },
  }

  it.each(Object.entries(jobs))('%s leaves nothing', { timeout: TIMEOUT }, async (name, job) => {
    const place = async () => {
      const root = join(await tempDir('place'), 'new')
      return { root, env: { XDG_STATE_HOME: await tempDir('state') } }
    }
    const counted = await place()
    const points = evenly(await count(job.words(counted.root), counted.env), job.more)
    let turn = 0
    await tryAll(`${name} by SIGINT and SIGTERM`, { points, more: job.more }, async (kill) => {
      turn += 1
      const signal = turn % 2 === 0 ? 'SIGINT' : 'SIGTERM'
      const { root, env } = await place()
      const seam = { kill: { ...kill, half: false }, stop: { signal, twice: false } } as const
      const ended = await startCounted(job.words(root), { ...seam, env }).finished
      // What was done already when the signal arrived stays done.
      if (ended.code === 0) return
      expect(ended.code, ended.stderr).toBe(CODES[signal])
      const left = await filesOf(root).catch(() => [])
      expect(left.filter((path) => !job.stays?.(path))).toEqual([])
      expect(await filesOf(env.XDG_STATE_HOME)).toEqual([])
      await mkdir(root, { recursive: true })
      if (name === 'restore') expect(await readAllOf(root)).toEqual({})
    })
  })

  it.each(Object.entries(jobs))(
    '%s twice ends at once',
    { timeout: TIMEOUT },
    async (name, job) => {
      const root = join(await tempDir('place'), 'new')
      const env = { XDG_STATE_HOME: await tempDir('state') }
      const points = await count(job.words(root), env)
      const [kill] = evenly(points, 1)
      const other = join(await tempDir('place'), 'new')
      const seam = { ...(kill && { kill }), stop: { signal: 'SIGINT', twice: true } } as const
      const ended = await startCounted(job.words(other), { ...seam, env }).finished
      expect(ended.code, ended.stderr).toBe(130)
      const resume = name === 'restore' ? ['--resume'] : []
      const again = await finish(contextOf([...job.words(other), ...resume], { env }))
      expect(again.code, again.stderr).toBe(0)
      await expectNothingLeft(other, env.XDG_STATE_HOME)
    },
  )

  it('as a server lets uploads end', { timeout: TIMEOUT }, async () => {
    const start = async (seam: Parameters<typeof startServer>[1]) => {
      const root = join(await tempDir('place'), 'new')
      const env = { XDG_STATE_HOME: await tempDir('state') }
      const { host = '', running } = await startServer(root, seam)
      const { code } = await finish(contextOf(['restore', '--host', host, set], { env }))
      return { root, code, running }
    }
    const log = join(await tempDir('log'), 'calls')
    const counted = await start({ log })
    // not those of its own end, which a server that is not told to end never comes to
    const points = evenly((await pointsOf(log)).slice(30), 2)
    counted.running.kill('SIGTERM')
    expect((await counted.running.finished).code).toBe(0)
    await tryAll('server by SIGINT and SIGTERM', { points, more: 2 }, async (kill) => {
      const signal = kill.at % 2 === 0 ? 'SIGINT' : 'SIGTERM'
      const seam = { kill: { ...kill, half: false }, stop: { signal, twice: false } } as const
      const { root, code, running } = await start(seam)
      const ended = await running.finished
      expect(ended.code, ended.stderr).toBe(0)
      expect([0, 15]).toContain(code)
      await expectNothingLeft(root)
      await readAllOf(root)
    })
  })
})
