import { describe, expect, it } from 'vitest'
import { formatLive } from '../../src/cli/live-progress.ts'
import type { OutputMode } from '../../src/cli/output.ts'
import { colorAllowed } from '../../src/cli/output.ts'
import { createRenderer } from '../../src/cli/progress.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { noProgress } from '../../src/operations/progress.ts'
import { until } from '../helpers/until.ts'
import { contextOf, runIn, Screen } from './harness.ts'

const MODE: OutputMode = { json: false, quiet: false, debug: false, color: false }
const shard = { database: 'tele graf', retentionPolicy: 'autogen', shardId: 7n }
const evil = { database: 'a\n\u001b[2Jb', retentionPolicy: 'r\u009b', shardId: 8n }
const EVENTS: readonly ProgressEvent[] = [
  { type: 'plan', task: 'backup', shards: 2, bytes: 3 * 1024 * 1024 },
  { type: 'shardStart', shard },
  { type: 'shardProgress', shard, bytes: 1024 },
  { type: 'note', level: 'info', message: 'hello' },
  { type: 'note', level: 'warning', message: 'careful' },
  { type: 'note', level: 'error', message: 'broken' },
  {
    type: 'shardDone',
    shard,
    bytes: 2 * 1024 * 1024,
    stored: 1024 * 1024,
    points: 1_000_000,
    durationMs: 2_000,
  },
  { type: 'shardStart', shard: evil },
  { type: 'shardSkipped', shard: evil, reason: 'not there' },
]

async function show(stream: Screen, mode: OutputMode, env = {}): Promise<string> {
  const renderer = createRenderer(stream, mode, env)
  for (const event of EVENTS) renderer.report(event)
  await renderer.stop()
  await renderer.stop()
  return stream.text
}

const PLAIN = `backup: 2 shards, 3.0 MiB
hello
warning: careful
error: broken
[1/2] shard 7 tele graf/autogen: 2.0 MiB in 2.0s (1.0 MiB/s), 1.0 MiB stored, 1,000,000 points
[2/2] shard 8 a\uFFFD\uFFFD[2Jb/r\uFFFD: skipped: not there
`

describe('progress', () => {
  it('is one plain line for each shard where no terminal is', async () => {
    expect(await show(new Screen(), MODE)).toBe(PLAIN)
  })

  it.each([{ TERM: 'dumb' }, { CI: 'true' }])('is plain with %j', async (env) => {
    expect(await show(new Screen(80), MODE, env)).toBe(PLAIN)
  })

  it('is plain on a terminal without a width, as under script', async () => {
    expect(await show(new Screen(0), MODE)).toBe(PLAIN)
  })

  it('is only errors when it is quiet', async () => {
    expect(await show(new Screen(80), { ...MODE, quiet: true })).toBe('error: broken\n')
  })

  it('is nothing for nobody', () => {
    expect(noProgress({ type: 'shardStart', shard })).toBeUndefined()
  })

  it('says that a total is not exact', () => {
    const screen = new Screen()
    const renderer = createRenderer(screen, MODE, {})
    renderer.report({ type: 'plan', task: 'backup', shards: 2, bytes: 2048, about: true })
    expect(screen.text).toBe('backup: 2 shards, about 2.0 KiB\n')
  })

  it('says nothing of each shard in a step before the others', () => {
    const screen = new Screen()
    const renderer = createRenderer(screen, MODE, {})
    const done = { type: 'shardDone', shard, bytes: 1, durationMs: 0 } as const
    renderer.report({ type: 'plan', task: 'check', shards: 2, bytes: 2048, isStep: true })
    renderer.report(done)
    renderer.report({ type: 'note', level: 'info', message: 'heard' })
    renderer.report({ type: 'plan', task: 'restore', shards: 1 })
    renderer.report(done)
    expect(screen.text).toBe(
      'check: 2 shards, 2.0 KiB\nheard\nrestore: 1 shard\n[1/1] shard 7 tele graf/autogen: 1 B in 0ms\n',
    )
  })

  it('leaves a rate and a size out that are not known', async () => {
    const screen = new Screen()
    const renderer = createRenderer(screen, MODE, {})
    renderer.report({ type: 'plan', task: 'restore', shards: 1 })
    renderer.report({ type: 'shardDone', shard, bytes: 1, points: 1, durationMs: 0 })
    expect(screen.text).toBe(
      'restore: 1 shard\n[1/1] shard 7 tele graf/autogen: 1 B in 0ms, 1 point\n',
    )
  })
})

describe('progress on a terminal', () => {
  it('is a line that moves below the finished shards, and goes at the end', async () => {
    const screen = new Screen(80)
    const renderer = createRenderer(screen, MODE, {})
    for (const event of EVENTS.slice(0, 3)) renderer.report(event)
    await until(() => screen.text.includes('backup 0/2 shards · 1.0 KiB of 3.0 MiB'))
    for (const event of EVENTS.slice(3)) renderer.report(event)
    await until(() => screen.text.includes('backup 2/2 shards · 2.0 MiB of 3.0 MiB'))
    await renderer.stop()
    const after = screen.text
    expect(after).toContain('warning: careful\n')
    expect(after).toContain('shard 8 a\uFFFD\uFFFD[2Jb/r\uFFFD: skipped: not there\n')
    expect(after).not.toContain('\u001b[36m')
    renderer.report({ type: 'note', level: 'info', message: 'late' })
    expect(screen.text).toBe(`${after}late\n`)
  })

  it('begins anew after a step', async () => {
    const screen = new Screen(80)
    const renderer = createRenderer(screen, MODE, {})
    const [, start, some] = EVENTS
    renderer.report({ type: 'plan', task: 'check', shards: 2, bytes: 9, isStep: true })
    for (const event of EVENTS.slice(1).filter(({ type }) => type !== 'note'))
      renderer.report(event)
    await until(() => screen.text.includes('check 2/2 shards · 2.0 MiB'))
    expect(screen.text).not.toContain('in 2.0s')
    renderer.report({ type: 'plan', task: 'restore', shards: 1, bytes: 4096 })
    if (start !== undefined && some !== undefined)
      for (const event of [start, some]) renderer.report(event)
    await until(() => screen.text.includes('restore 0/1 shard · 1.0 KiB of 4.0 KiB'))
    await renderer.stop()
  })

  it('is not begun for a run that ends at once', async () => {
    expect(await show(new Screen(80), MODE)).not.toContain('0/2')
  })

  it('is coloured if it may be', async () => {
    const screen = new Screen(80)
    const renderer = createRenderer(screen, { ...MODE, color: true }, {})
    for (const event of EVENTS.slice(0, 3)) renderer.report(event)
    await until(() => screen.text.includes('backup 0/2 shards'))
    await renderer.stop()
  })

  it('is left out where it cannot be drawn', async () => {
    let asked = 0
    class Broken extends Screen {
      override cursorTo(): boolean {
        asked += 1
        throw new Error('EIO')
      }
    }
    const renderer = createRenderer(new Broken(80), MODE, {})
    for (const event of EVENTS.slice(0, 1)) renderer.report(event)
    await until(() => asked > 0)
    await renderer.stop()
  })

  it('may be coloured on a terminal that knows colours, unless NO_COLOR says no', () => {
    expect(colorAllowed(new Screen(80), {})).toBe(true)
    expect(colorAllowed(new Screen(80), { NO_COLOR: '' })).toBe(true)
    expect(colorAllowed(new Screen(80), { NO_COLOR: '1' })).toBe(false)
    expect(colorAllowed(new Screen(80), { TERM: 'dumb' })).toBe(false)
    expect(colorAllowed(new Screen(), {})).toBe(false)
  })

  it.each([
    [[], {}, true],
    [['--no-color'], {}, false],
    [[], { NO_COLOR: '1' }, false],
    [[], { INFLUX_SNAP_NO_COLOR: 'true' }, false],
  ])('colours an error: %j %j', async (argv, env, coloured) => {
    const context = contextOf(['probe', ...argv], { columns: 80, env })
    await runIn(context, { work: () => Promise.reject(new Error('no')) })
    expect(context.stderr.text.includes('\u001b[')).toBe(coloured)
    expect(context.stderr.text).toContain('unexpected: no (E_FAILED)\n')
  })

  const MiB = 1024 * 1024
  const standing = {
    bytes: 128 * MiB,
    totalBytes: 400 * MiB,
    rate: 45 * MiB,
    remaining: 6_000,
  }
  const unit = 'shard' as const
  const estimate = { ...standing, unit, shardsDone: 3, shards: 12, about: false, silent: undefined }
  const running = [
    {
      shard: { ...shard, database: 'telegraf' },
      ...{ bytes: 12 * MiB, totalBytes: 40 * MiB, rate: 7 * MiB, remaining: 4_000 },
    },
  ]
  const state = { task: 'backup', estimate, running }

  it('shows what fits, the most important first', () => {
    expect(formatLive(state, 77)).toEqual([
      'backup 3/12 shards · 128.0 MiB of 400.0 MiB · 45.0 MiB/s · ETA 6.0s',
      'shard 7 telegraf/autogen · 12.0 MiB of 40.0 MiB · 7.0 MiB/s · ETA 4.0s',
    ])
    expect(formatLive(state, 37)).toEqual([
      'backup 3/12 shards · 45.0 MiB/s',
      'shard 7 · 12.0 MiB of 40.0 MiB',
    ])
    expect(formatLive(state, 10)).toEqual(['backup 3/1', 'shard 7'])
    expect(formatLive(state, -1)).toEqual(['b', 's'])
  })

  it('names the shard beside the figures where it is the only one', () => {
    const one = { ...state, estimate: { ...estimate, shardsDone: 0, shards: 1 } }
    expect(formatLive(one, 100)).toEqual([
      'backup 0/1 shard · 128.0 MiB of 400.0 MiB · 45.0 MiB/s · ETA 6.0s · shard 7 telegraf/autogen',
    ])
  })

  it('gives four shards a line, and counts the others', () => {
    const many = Array.from({ length: 6 }, () => running).flat()
    const lines = formatLive({ ...state, running: many }, 80)
    expect(lines).toHaveLength(6)
    expect(lines.at(-1)).toBe('and 2 more')
  })

  it('says that a size is not exact, and drops it once it proves wrong', () => {
    const about = { ...state, estimate: { ...estimate, about: true } }
    expect(formatLive(about, 80)).toEqual([
      'backup 3/12 shards · 128.0 MiB of about 400.0 MiB · 45.0 MiB/s · ETA 6.0s',
      'shard 7 telegraf/autogen · 12.0 MiB of about 40.0 MiB · 7.0 MiB/s · ETA 4.0s',
    ])
    const past = { ...about.estimate, totalBytes: MiB, remaining: undefined }
    expect(formatLive({ ...about, estimate: past, running: [] }, 80)).toEqual([
      'backup 3/12 shards · 128.0 MiB · 45.0 MiB/s',
    ])
  })

  it('counts sets, which have no bytes', () => {
    const sets = { ...estimate, unit: 'set' as const }
    expect(formatLive({ ...state, task: 'report', estimate: sets, running: [] }, 80)).toEqual([
      'report 3/12 sets · ETA 6.0s',
    ])
    const early = { ...sets, remaining: undefined }
    expect(formatLive({ task: 'report', estimate: early, running: [] }, 80)).toEqual([
      'report 3/12 sets',
    ])
  })

  it('tells a silence, and no time to go in it', () => {
    const silent = { ...state, estimate: { ...estimate, silent: 65_000 }, running: [] }
    expect(formatLive(silent, 200)).toEqual([
      'backup 3/12 shards · 128.0 MiB of 400.0 MiB · waiting for 1m 05s',
    ])
  })
})
