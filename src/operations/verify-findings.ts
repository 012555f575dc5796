import { EXIT_CODES, errnoOf, SnapError } from '../errors.ts'
import { type Data, type ListedShard, listShards } from '../meta/index.ts'
import type { ShardName } from './inspect.ts'

/** Times that a shard holds: `start` is one of them, `end` is not. Nanoseconds since the epoch. */
export interface ShardTimes {
  readonly start: bigint
  readonly end: bigint
}

/** Where something is. */
export interface Place {
  /** The sets that have the file; none for a legacy directory. */
  readonly sets: readonly string[]
  readonly file: string
  /** The shard whose points are in the file, if it is one shard's. */
  readonly shard?: ShardName | undefined
  /** The times of the shard. */
  readonly times?: ShardTimes | undefined
}

/** Something that is not as it should be. */
export interface VerifyProblem extends Place {
  readonly message: string
}

/** A shard that is in the metastore of a set and not in the set, and why. */
export interface VerifyGap extends ShardName {
  readonly set: string
  readonly times: ShardTimes
  /** Undefined for a set of influxd, which does not say. */
  readonly reason: string | undefined
  /** True if its points should be in the set. */
  readonly lost: boolean
}

/** Collects what is found. */
export class Findings {
  readonly #problems = new Map<string, VerifyProblem>()
  readonly gaps: VerifyGap[] = []

  /** In the order in which they were found. */
  get problems(): readonly VerifyProblem[] {
    return [...this.#problems.values()]
  }

  /** Adds a problem; one that is known already gets the further sets. */
  add({ sets, file, shard, times }: Place, message: string): void {
    const key = `${file}\0${message}`
    const all = new Set([...(this.#problems.get(key)?.sets ?? []), ...sets])
    this.#problems.set(key, { sets: [...all], file, shard, times, message })
  }

  /** True if something is wrong with a file. */
  has(file: string): boolean {
    return this.problems.some((problem) => problem.file === file)
  }

  /** Does some work; what is found damaged meanwhile becomes a problem, and the result undefined. */
  async collect<T>(place: Place, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SnapError) || !isDamage(error)) throw error
      this.add(place, error.message)
      return undefined
    }
  }
}

/** True for what is wrong with stored bytes; a disk that cannot give them has lost them. */
function isDamage({ exitCode, cause }: SnapError): boolean {
  return exitCode === EXIT_CODES.E_INTEGRITY || errnoOf(cause) === 'EIO'
}

/** The shards of a metastore by id, those of deleted groups too. */
export function shardsById(data: Data): ReadonlyMap<bigint, ListedShard> {
  const listed = listShards(data, { includeDeleted: true })
  return new Map(listed.map((shard) => [shard.shard.id, shard]))
}

/** Returns the times of a shard by its metastore. */
export function timesOf(listed: ListedShard | undefined): ShardTimes | undefined {
  return listed && { start: listed.group.startTime, end: listed.group.endTime }
}
