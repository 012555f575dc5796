import type { ProgressEvent, ShardLabel } from '../operations/progress.ts'
import { Pace } from './pace.ts'

/** How long to watch before saying how long it will take, milliseconds. */
const WARM_UP = 3_000
/** A silence longer than this is shown as one. */
const SILENCE = 5_000

/** How far something has come at one moment. */
export interface Standing {
  /** Bytes as they are now; what is tried again counts from its beginning. */
  readonly bytes: number
  readonly totalBytes: number | undefined
  /** Bytes per second of the last ten seconds; `undefined` until a second has passed. */
  readonly rate: number | undefined
  /** Milliseconds to go; `undefined` while nothing sound can be said. */
  readonly remaining: number | undefined
}

/** What is known of a run at one moment. */
export interface Estimate extends Standing {
  /** What shards and `shardsDone` count. */
  readonly unit: 'shard' | 'set'
  readonly shardsDone: number
  readonly shards: number
  /** True if the sizes of shards that are not done may come out a little different. */
  readonly about: boolean
  /** Milliseconds since the last byte, if that is long. */
  readonly silent: number | undefined
}

interface Running {
  readonly shard: ShardLabel
  readonly expected: number | undefined
  readonly started: number
  readonly pace: Pace
  bytes: number
}

/** Follows the events of a run and estimates how fast it is and how long it will take. Times are milliseconds. */
export class Estimator {
  readonly #started: number
  readonly #pace: Pace
  readonly #running = new Map<string, Running>()
  #shards = 0
  #totalBytes: number | undefined
  #about = false
  #unit: Estimate['unit'] = 'shard'
  #done = 0
  #doneBytes = 0
  #lastByte: number

  constructor(now: number) {
    this.#started = now
    this.#lastByte = now
    this.#pace = new Pace(now)
  }

  /** Takes an event in. */
  take(event: ProgressEvent, now: number): void {
    switch (event.type) {
      case 'plan':
        this.#shards = event.shards
        this.#totalBytes = event.bytes
        this.#about = event.about ?? false
        this.#unit = event.unit ?? 'shard'
        return
      case 'shardStart':
        this.#begin(event.shard, event.bytes, now)
        return
      case 'shardProgress':
        this.#advance(event.shard, event.bytes, now)
        return
      case 'shardDone':
        this.#advance(event.shard, event.bytes, now)
        this.#end(event.shard, event.bytes)
        return
      case 'shardSkipped':
        this.#end(event.shard, 0)
        return
      case 'counted':
        this.#done = event.done
        this.#lastByte = now
        return
      case 'note':
        return
      default:
        throw new Error(`unknown progress event ${JSON.stringify(event satisfies never)}`)
    }
  }

  #begin(shard: ShardLabel, expected: number | undefined, now: number): Running {
    const running = { shard, expected, started: now, pace: new Pace(now), bytes: 0 }
    this.#running.set(keyOf(shard), running)
    return running
  }

  #advance(shard: ShardLabel, bytes: number, now: number): void {
    const running = this.#running.get(keyOf(shard)) ?? this.#begin(shard, undefined, now)
    const moved = bytes >= running.bytes ? bytes - running.bytes : bytes
    running.bytes = bytes
    if (moved === 0) return
    running.pace.add(moved)
    this.#pace.add(moved)
    this.#lastByte = now
  }

  /** The total is then of what shards were, and of what is expected of the others. */
  #end(shard: ShardLabel, bytes: number): void {
    const key = keyOf(shard)
    const expected = this.#running.get(key)?.expected
    this.#running.delete(key)
    this.#done++
    this.#doneBytes += bytes
    if (this.#totalBytes !== undefined && expected !== undefined)
      this.#totalBytes += bytes - expected
  }

  /** Returns what is known now. */
  at(now: number): Estimate {
    const rate = this.#pace.at(now)
    const silence = now - this.#lastByte
    let bytes = this.#doneBytes
    for (const running of this.#running.values()) bytes += running.bytes
    const totalBytes = this.#totalBytes
    const elapsed = now - this.#started
    return {
      ...{ unit: this.#unit, shardsDone: this.#done, shards: this.#shards, about: this.#about },
      ...{ bytes, totalBytes, rate },
      remaining:
        totalBytes === undefined
          ? this.#remainingByShards(elapsed, rate)
          : remainingOf({ bytes, totalBytes, rate, elapsed }),
      silent: silence >= SILENCE ? silence : undefined,
    }
  }

  /** Returns the shards that are worked on, those that were begun first first. */
  running(now: number): readonly (Standing & { readonly shard: ShardLabel })[] {
    return [...this.#running.values()].map(
      ({ shard, expected: totalBytes, started, pace, bytes }) => {
        const rate = pace.at(now)
        const remaining = remainingOf({ bytes, totalBytes, rate, elapsed: now - started })
        return { shard, bytes, totalBytes, rate, remaining }
      },
    )
  }

  /** Without sizes, shards are taken to be alike; two of them are the least to judge by. */
  #remainingByShards(elapsed: number, rate: number | undefined): number | undefined {
    if (elapsed < WARM_UP || this.#done < 2) return undefined
    if (this.#unit === 'shard' && (rate === undefined || rate === 0)) return undefined
    return (elapsed / this.#done) * (this.#shards - this.#done)
  }
}

/** Once more came than was planned, the plan is no longer worth an estimate. */
function remainingOf({
  bytes,
  totalBytes,
  rate,
  elapsed,
}: Omit<Standing, 'remaining'> & { readonly elapsed: number }): number | undefined {
  if (elapsed < WARM_UP || rate === undefined || rate === 0) return undefined
  if (totalBytes === undefined || bytes > totalBytes) return undefined
  return ((totalBytes - bytes) * 1000) / rate
}

function keyOf({ database, retentionPolicy, shardId }: ShardLabel): string {
  return `${shardId}\0${database}\0${retentionPolicy}`
}
