import { describe, expect, it } from 'vitest'
import { Estimator } from '../../src/cli/estimate.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'

const shard = (id: number) => ({ database: 'd', retentionPolicy: 'r', shardId: BigInt(id) })
const MB = 1_000_000

/** Plays events at seconds and returns the estimate at the end. */
function play(at: number, ...events: readonly (readonly [number, ProgressEvent])[]) {
  const estimator = new Estimator(0)
  let second = 0
  for (const [time, event] of events) {
    // As the live line does, look between the events too.
    for (; second < time; second++) estimator.at(second * 1000)
    estimator.take(event, time * 1000)
  }
  for (; second < at; second++) estimator.at(second * 1000)
  return estimator.at(at * 1000)
}

const plan = (shards: number, bytes?: number): readonly [number, ProgressEvent] => [
  0,
  { type: 'plan', task: 'backup', shards, bytes },
]
const start = (time: number, id: number): readonly [number, ProgressEvent] => [
  time,
  { type: 'shardStart', shard: shard(id) },
]
const moved = (time: number, id: number, bytes: number): readonly [number, ProgressEvent] => [
  time,
  { type: 'shardProgress', shard: shard(id), bytes },
]
const done = (time: number, id: number, bytes: number): readonly [number, ProgressEvent] => [
  time,
  { type: 'shardDone', shard: shard(id), bytes, durationMs: 1 },
]

describe('Estimator', () => {
  it('knows nothing at first and says so', () => {
    expect(play(0.5, plan(3, 10 * MB), start(0, 1), moved(0.2, 1, MB))).toEqual({
      unit: 'shard',
      shardsDone: 0,
      shards: 3,
      about: false,
      bytes: MB,
      totalBytes: 10 * MB,
      rate: undefined,
      remaining: undefined,
      silent: undefined,
    })
  })

  it('tells the rate of the last ten seconds, not of all of them', () => {
    const events = Array.from({ length: 30 }, (_, second) =>
      moved(second + 1, 1, second < 20 ? (second + 1) * MB : 20 * MB + (second - 19) * 3 * MB),
    )
    expect(play(10, plan(1), start(0, 1), ...events.slice(0, 10)).rate).toBeCloseTo(MB, -4)
    const rate = play(30, plan(1), start(0, 1), ...events).rate ?? 0
    expect(rate).toBeGreaterThan(2.7 * MB)
    expect(rate).toBeLessThan(3.1 * MB)
  })

  it('knows how long it takes when it knows how much it is', () => {
    const events = [1, 2, 3, 4].map((second) => moved(second, 1, second * MB))
    const { remaining } = play(4, plan(1, 10 * MB), start(0, 1), ...events)
    expect(remaining).toBeGreaterThan(5_500)
    expect(remaining).toBeLessThan(7_500)
  })

  it('stops guessing when more came than was planned', () => {
    const events = [1, 2, 3, 4].map((second) => moved(second, 1, second * MB))
    expect(play(4, plan(1, 3 * MB), start(0, 1), ...events).remaining).toBeUndefined()
  })

  it('judges by shards, of two at least, when sizes are unknown', () => {
    const first = [plan(4), start(0, 1), done(2, 1, MB), start(2, 2), moved(3, 2, 1)] as const
    expect(play(4, ...first).remaining).toBeUndefined()
    expect(play(4, ...first, done(4, 2, MB)).remaining).toBe(4_000)
  })

  it('takes a shard that is tried again from its beginning', () => {
    const events = [start(0, 1), moved(1, 1, 5 * MB), moved(2, 1, MB)]
    const { bytes, rate } = play(2, plan(1), ...events)
    expect(bytes).toBe(MB)
    expect(rate).toBeCloseTo(3 * MB, -4)
  })

  it('counts what was skipped as done, without its bytes', () => {
    const skipped: ProgressEvent = { type: 'shardSkipped', shard: shard(1), reason: 'gone' }
    const note: ProgressEvent = { type: 'note', level: 'info', message: 'x' }
    const events = [start(0, 1), moved(1, 1, MB), [2, skipped], [2, note]] as const
    expect(play(2, plan(1), ...events)).toMatchObject({ shardsDone: 1, bytes: 0 })
  })

  it('notices a silence', () => {
    const events = [plan(1, 10 * MB), start(0, 1), moved(1, 1, MB)] as const
    expect(play(5, ...events).silent).toBeUndefined()
    expect(play(21, ...events)).toMatchObject({ silent: 20_000, rate: 0, remaining: undefined })
  })

  it('keeps shards of one id in two databases apart', () => {
    const other = { ...shard(1), database: 'e' }
    const events = [start(0, 1), moved(1, 1, MB)] as const
    const more: ProgressEvent = { type: 'shardProgress', shard: other, bytes: MB }
    expect(play(1, plan(2), ...events, [1, more]).bytes).toBe(2 * MB)
  })

  it('knows of each shard what it knows of all', () => {
    const estimator = new Estimator(0)
    const take = (...[time, event]: readonly [number, ProgressEvent]) =>
      estimator.take(event, time * 1000)
    take(0, { type: 'plan', task: 'restore', shards: 2, bytes: 30 * MB })
    take(0, { type: 'shardStart', shard: shard(1), bytes: 10 * MB })
    take(0, { type: 'shardStart', shard: shard(2), bytes: 20 * MB })
    for (let second = 1; second <= 4; second++) {
      take(...moved(second, 1, 2 * second * MB))
      take(...moved(second, 2, second * MB))
      estimator.running(second * 1000)
    }
    expect(estimator.running(4_000)).toEqual([
      { shard: shard(1), bytes: 8 * MB, totalBytes: 10 * MB, rate: 2 * MB, remaining: 1_000 },
      { shard: shard(2), bytes: 4 * MB, totalBytes: 20 * MB, rate: MB, remaining: 16_000 },
    ])
    take(...done(5, 1, 10 * MB))
    expect(estimator.running(5_000).map((each) => each.shard)).toEqual([shard(2)])
  })

  it('corrects a total by what shards turn out to be, and takes out those that are skipped', () => {
    const sized = (id: number, bytes: number): readonly [number, ProgressEvent] => [
      0,
      { type: 'shardStart', shard: shard(id), bytes },
    ]
    const skipped: ProgressEvent = { type: 'shardSkipped', shard: shard(2), reason: 'unchanged' }
    const about: ProgressEvent = {
      ...{ type: 'plan', task: 'backup', shards: 3, bytes: 30 * MB, about: true },
    }
    const events = [[0, about], sized(1, 10 * MB), done(1, 1, 11 * MB), sized(2, 5 * MB)] as const
    expect(play(1, ...events, [1, skipped])).toMatchObject({
      ...{ totalBytes: 26 * MB, about: true, bytes: 11 * MB },
    })
  })

  it('counts sets, and takes them to be alike', () => {
    const sets: ProgressEvent = { type: 'plan', task: 'report', shards: 100, unit: 'set' }
    const counted = (done: number): ProgressEvent => ({ type: 'counted', done })
    expect(play(10, [0, sets], [1, counted(1)])).toMatchObject({
      shardsDone: 1,
      remaining: undefined,
    })
    expect(play(10, [0, sets], [9, counted(20)])).toMatchObject({
      ...{ unit: 'set', shardsDone: 20, shards: 100, remaining: 40_000, silent: undefined },
    })
  })

  it('refuses an event it does not know', () => {
    const estimator = new Estimator(0)
    expect(() => estimator.take(JSON.parse('{"type":"x"}'), 0)).toThrow('unknown progress event')
  })
})
