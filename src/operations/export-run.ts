import type { FieldPoints, PolicyName } from '../formats/points.ts'
import type { ListedShard } from '../meta/index.ts'
import type { Block } from '../tsm/values.ts'
import { ExportTally, type MeasurementName, measurementOf } from './export-tally.ts'
import type { LeftOutShard } from './fetch-shards.ts'
import type { ShardName } from './inspect.ts'
import { shardName } from './plan-shards.ts'
import { noProgress, type Progress } from './progress.ts'
import { type ReadPointsOptions, readPoints } from './read-points.ts'

/** The shards of one policy, in the order of their times. */
export interface PolicyShards extends PolicyName {
  readonly shards: readonly ShardName[]
}

/** A shard that was exported. */
export interface ExportedShard extends ShardName {
  readonly points: number
}

interface Reading {
  points: number
  /** Bytes of the shard's files. */
  bytes: number
  readonly started: number
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
  readonly #reading = new Map<bigint, Reading>()

  constructor(shards: readonly ListedShard[], options: ReadPointsOptions) {
    this.policies = policiesOf(shards)
    this.progress = options.progress ?? noProgress
    this.signal = options.signal
    this.#options = options
  }

  /** Reads the keys of a shard that have points, without counting them. */
  async *readKeys(shard: ShardName): AsyncGenerator<FieldPoints, void, undefined> {
    const onDropped = (left: LeftOutShard) => void this.dropped.push(left)
    for await (const field of readPoints(shard, this.#options, { onDropped })) {
      if (await hasPoints(field.blocks)) yield field
    }
  }

  /** Reads and counts the points of a shard. */
  async *readShard(shard: ShardName): AsyncGenerator<FieldPoints, void, undefined> {
    const reading = { points: 0, bytes: 0, started: performance.now() }
    this.#reading.set(shard.shardId, reading)
    const onOpen = (bytes: number) => {
      reading.bytes = bytes
    }
    const onDropped = (left: LeftOutShard) => {
      this.#reading.delete(shard.shardId)
      this.dropped.push(left)
    }
    for await (const { key, type, blocks } of readPoints(shard, this.#options, {
      onOpen,
      onDropped,
    })) {
      yield { key, type, blocks: this.#counted(blocks, measurementOf(shard, key), reading) }
    }
  }

  /** Tells that a shard is through. @param text bytes that it became, if that is known */
  finishShard(shard: ShardName, text?: number): void {
    const reading = this.#reading.get(shard.shardId)
    if (reading === undefined) return
    this.#reading.delete(shard.shardId)
    const { points, bytes, started } = reading
    const durationMs = performance.now() - started
    this.progress({ type: 'shardDone', shard, bytes: text ?? bytes, points, durationMs })
    if (points > 0) this.shards.push({ ...shard, points })
  }

  async *#counted(
    blocks: AsyncIterable<Block>,
    name: MeasurementName,
    reading: Reading,
  ): AsyncGenerator<Block, void, undefined> {
    for await (const block of blocks) {
      reading.points += block.times.length
      this.tally.add(name, block.times.length)
      yield block
    }
  }
}

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

function byTime(a: ListedShard, b: ListedShard): number {
  const difference = a.group.startTime - b.group.startTime || a.shard.id - b.shard.id
  return difference < 0n ? -1 : 1
}
