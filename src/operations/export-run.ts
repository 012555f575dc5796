import type { FieldPoints, PolicyName } from '../formats/points.ts'
import { type ListedShard, startOfGroup } from '../meta/index.ts'
import type { Block } from '../tsm/values.ts'
import { ExportTally, type MeasurementName, measurementName } from './export-tally.ts'
import { DROPPED, type LeftOutShard } from './fetched-shards.ts'
import type { ShardName } from './inspect.ts'
import { NewestLeft } from './newest-left.ts'
import { shardName } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { openPoints, type ReadPointsOptions } from './read-points.ts'

/** The shards of one policy, in the order of their times. */
export interface PolicyShards extends PolicyName {
  readonly shards: readonly ShardName[]
}

/** A shard that was exported. */
export interface ExportedShard extends ShardName {
  readonly points: number
}

/** A shard while it is exported. */
export interface ShardReading {
  /** Its wanted points, counted as they are read; none if it was dropped meanwhile. */
  readonly points: AsyncIterable<FieldPoints>
  /** Tells that it is through. @param text bytes that it became, if that is known */
  finish(text?: number): void
  /** Closes its files; the points cannot be read after. */
  close(): Promise<void>
}

/** One export of points while it runs. */
export class ExportRun {
  readonly policies: readonly PolicyShards[]
  readonly tally = new ExportTally()
  readonly shards: ExportedShard[] = []
  readonly dropped: LeftOutShard[] = []
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly #options: ReadPointsOptions
  /** Only the newest points of each key. */
  readonly #newest: NewestLeft | undefined

  constructor(
    shards: readonly ListedShard[],
    options: ReadPointsOptions & { readonly last?: number | undefined },
  ) {
    const policies = policiesOf(shards)
    const { last } = options
    this.policies = last === undefined ? policies : policies.map(newestFirst)
    if (last !== undefined) this.#newest = new NewestLeft(last)
    this.progress = options.progress ?? noProgress
    this.signal = options.signal
    this.#options = options
  }

  /** Reads the keys of a shard that have points, without counting them. */
  async *readKeys(shard: ShardName): AsyncGenerator<FieldPoints, void, undefined> {
    const opened = await openPoints(shard, this.#options)
    if (opened === undefined) return this.#drop(shard)
    try {
      for await (const field of opened.points) if (await hasPoints(field.blocks)) yield field
    } finally {
      await opened.close()
    }
  }

  /**
   * Opens a shard to export its points.
   * @param after only keys behind this one
   */
  async openShard(shard: ShardName, after?: Uint8Array): Promise<ShardReading> {
    const started = performance.now()
    this.#newest?.begin(shard)
    const read = { ...this.#keysAfter(after), newest: this.#newest?.of }
    const opened = await openPoints(shard, read)
    if (opened === undefined) {
      this.#drop(shard)
      return { points: nothing(), finish: () => {}, close: async () => {} }
    }
    const count = { points: 0 }
    const finish = (text?: number) => {
      const { points } = count
      const bytes = text ?? opened.bytes
      const durationMs = performance.now() - started
      this.progress({ type: 'shardDone', shard, bytes, points, durationMs })
      if (points > 0) this.shards.push({ ...shard, points })
    }
    const points = this.#newest?.count(opened.points) ?? opened.points
    return { points: this.#counted(shard, points, count), finish, close: opened.close }
  }

  #keysAfter(after: Uint8Array | undefined): ReadPointsOptions {
    if (after === undefined) return this.#options
    const { keepKey = () => true } = this.#options
    const isLeft = (key: Uint8Array) => Buffer.compare(key, after) > 0 && keepKey(key)
    return { ...this.#options, keepKey: isLeft }
  }

  #drop(shard: ShardName): void {
    this.dropped.push({ ...shard, reason: DROPPED })
  }

  async *#counted(
    shard: ShardName,
    points: AsyncIterable<FieldPoints>,
    count: { points: number },
  ): AsyncGenerator<FieldPoints, void, undefined> {
    const { tally } = this
    const counted = async function* (blocks: AsyncIterable<Block>, name: MeasurementName) {
      for await (const block of blocks) {
        count.points += block.times.length
        tally.add(name, block.times.length)
        yield block
      }
    }
    for await (const { key, type, blocks } of points) {
      yield { key, type, blocks: counted(blocks, measurementName(shard, key)) }
    }
  }
}

async function* nothing(): AsyncGenerator<never, void, undefined> {}

async function hasPoints(blocks: AsyncIterable<Block>): Promise<boolean> {
  for await (const { times } of blocks) if (times.length > 0) return true
  return false
}

function policiesOf(shards: readonly ListedShard[]): PolicyShards[] {
  const policies = new Map<string, PolicyName & { readonly shards: ListedShard[] }>()
  for (const shard of shards) {
    const { database, retentionPolicy } = shard
    const id = `${database}\0${retentionPolicy}`
    const policy = policies.get(id) ?? { database, retentionPolicy, shards: [] }
    policies.set(id, policy)
    policy.shards.push(shard)
  }
  return [...policies.values()].map((policy) => ({
    ...policy,
    shards: policy.shards.toSorted(byTime).map(shardName),
  }))
}

function newestFirst({ shards, ...policy }: PolicyShards): PolicyShards {
  return { ...policy, shards: shards.toReversed() }
}

function byTime(a: ListedShard, b: ListedShard): number {
  const difference = startOfGroup(a.group) - startOfGroup(b.group) || a.shard.id - b.shard.id
  return difference < 0n ? -1 : 1
}
