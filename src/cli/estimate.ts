import type { ProgressEvent, ShardLabel } from '../operations/progress.ts'

/** How long a sample counts for the rate, milliseconds. */
const WINDOW = 10_000
/** How long to watch before saying how long it will take. */
const WARM_UP = 3_000
/** A silence longer than this is shown as one. */
const SILENCE = 5_000

/** What is known of a run at one moment. */
export interface Estimate {
  readonly shardsDone: number
  readonly shards: number
  /** Bytes of the shards as they are now; a shard that is tried again counts from its beginning. */
  readonly bytes: number
  readonly totalBytes: number | undefined
  /** Bytes per second of the last ten seconds; `undefined` until a second has passed. */
  readonly rate: number | undefined
  /** Milliseconds to go; `undefined` while nothing sound can be said. */
  readonly remaining: number | undefined
  /** Milliseconds since the last byte, if that is long. */
  readonly silent: number | undefined
}

interface Sample {
  readonly time: number
  readonly moved: number
}

/** Follows the events of a run and estimates how fast it is and how long it will take. Times are milliseconds. */
export class Estimator {
  readonly #started: number
  #shards = 0
  #totalBytes: number | undefined
  #done = 0
  #doneBytes = 0
  /** Bytes of every running shard. */
  readonly #running = new Map<string, number>()
  /** Bytes moved, those of failed attempts too. */
  #moved = 0
  #samples: Sample[]
  #lastByte: number

  constructor(now: number) {
    this.#started = now
    this.#lastByte = now
    this.#samples = [{ time: now, moved: 0 }]
  }

  /** Takes an event in. */
  take(event: ProgressEvent, now: number): void {
    switch (event.type) {
      case 'plan':
        this.#shards = event.shards
        this.#totalBytes = event.bytes
        return
      case 'shardStart':
        this.#running.set(keyOf(event.shard), 0)
        return
      case 'shardProgress':
        this.#advance(event.shard, event.bytes, now)
        return
      case 'shardDone':
        this.#advance(event.shard, event.bytes, now)
        this.#running.delete(keyOf(event.shard))
        this.#doneBytes += event.bytes
        this.#done++
        return
      case 'shardSkipped':
        this.#running.delete(keyOf(event.shard))
        this.#done++
        return
      case 'note':
        return
      default:
        throw new Error(`unknown progress event ${JSON.stringify(event satisfies never)}`)
    }
  }

  #advance(shard: ShardLabel, bytes: number, now: number): void {
    const key = keyOf(shard)
    const before = this.#running.get(key) ?? 0
    this.#running.set(key, bytes)
    const moved = bytes >= before ? bytes - before : bytes
    if (moved === 0) return
    this.#moved += moved
    this.#lastByte = now
  }

  /** Returns what is known now. */
  at(now: number): Estimate {
    const rate = this.#rate(now)
    const silence = now - this.#lastByte
    let bytes = this.#doneBytes
    for (const running of this.#running.values()) bytes += running
    return {
      shardsDone: this.#done,
      shards: this.#shards,
      bytes,
      totalBytes: this.#totalBytes,
      rate,
      remaining: this.#remaining(now, bytes, rate),
      silent: silence >= SILENCE ? silence : undefined,
    }
  }

  /** Bytes of a running shard so far. */
  bytesOf(shard: ShardLabel): number {
    return this.#running.get(keyOf(shard)) ?? 0
  }

  #rate(now: number): number | undefined {
    const last = this.#samples.at(-1)
    if (last === undefined || now - last.time >= 250)
      this.#samples.push({ time: now, moved: this.#moved })
    while (this.#samples.length > 2 && now - (this.#samples[1]?.time ?? now) >= WINDOW)
      this.#samples.shift()
    const [first] = this.#samples
    const span = first === undefined ? 0 : now - first.time
    if (first === undefined || span < 1000) return undefined
    return ((this.#moved - first.moved) * 1000) / span
  }

  #remaining(now: number, bytes: number, rate: number | undefined): number | undefined {
    const elapsed = now - this.#started
    if (elapsed < WARM_UP || rate === undefined || rate === 0) return undefined
    if (this.#totalBytes !== undefined) {
      // More came than was planned: the plan is no longer worth an estimate.
      return bytes <= this.#totalBytes ? ((this.#totalBytes - bytes) * 1000) / rate : undefined
    }
    // Without sizes, shards are taken to be alike; two of them are the least to judge by.
    return this.#done < 2 ? undefined : (elapsed / this.#done) * (this.#shards - this.#done)
  }
}

function keyOf({ database, retentionPolicy, shardId }: ShardLabel): string {
  return `${shardId}\0${database}\0${retentionPolicy}`
}
