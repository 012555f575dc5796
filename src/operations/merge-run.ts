import { SnapError } from '../errors.ts'
import type { PolicyName } from '../formats/points.ts'
import { type ListedShard, listShards, startOfGroup } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import type { BackupSource } from './backup-source.ts'
import { type ExactRange, intersect } from './exact-range.ts'
import { firstPoint, type MergePoint } from './merge-look.ts'
import { checkPolicies, type StoredInto } from './merge-policies.ts'
import { mergeShard } from './merge-shard.ts'
import type { MergeTarget } from './merge-target.ts'
import { cutAtGroups, isCold, type MergeWindow, shardsOver } from './merge-windows.ts'
import type { MergedShard, MergeOptions, OverruledPoints } from './merge-wish.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import { readPoints } from './read-points.ts'
import type { ChangedDuration } from './restore-policies.ts'
import type { KeepKey } from './series-selection.ts'
import type { ShardFiles } from './shard-source.ts'
import type { Throttle } from './throttle.ts'

type RunOptions = Pick<
  MergeOptions,
  'range' | 'onConflict' | 'policyDuration' | 'dryRun' | 'tempDir' | 'attempts' | 'signal'
> & {
  readonly target: MergeTarget
  readonly source: BackupSource
  readonly keepKey: KeepKey | undefined
  readonly throttle: Throttle
  readonly progress: Progress
  /** Upload however few points there are. */
  readonly byFile?: boolean | undefined
}

/** One merge while it runs. */
export class MergeRun {
  readonly #options: RunOptions
  /** The shards of the target, as they were looked at last. */
  #live: readonly ListedShard[] = []

  constructor(options: RunOptions) {
    this.#options = options
  }

  /**
   * Looks at the shards of the target, and checks that it has the databases and policies, and that they keep what they are to
   * get. Returns the policies that first have to keep points longer, if the options say for how long.
   * @throws SnapError `E_DESTINATION`
   */
  async checkTarget(stored: readonly StoredInto[]): Promise<readonly ChangedDuration[]> {
    const { target, policyDuration } = this.#options
    const data = await target.metastore()
    this.#live = listShards(data)
    return checkPolicies(stored, { data, server: target.name, policyDuration })
  }

  /** Merges stored shards, one after the other, as {@link mergeStored}. */
  async mergeAll(stored: readonly StoredInto[]): Promise<MergedShard[]> {
    const shards: MergedShard[] = []
    for (const { shard, into } of stored) shards.push(await this.mergeStored(shard, into))
    return shards
  }

  /** Merges one stored shard into the live shards of its times; those that are missing are made by its first points. */
  async mergeStored(stored: ListedShard, into: PolicyName): Promise<MergedShard> {
    const { source, progress, tempDir, throttle, signal } = this.#options
    const shard = shardName(stored)
    const started = performance.now()
    progress({ type: 'shardStart', shard })
    const files = await source.openShard({ shard }, { tempDir, throttle, signal })
    try {
      const onBytes = (bytes: number) => progress({ type: 'shardProgress', shard, bytes })
      const merged = await this.#mergeFiles(files, stored, { into, onBytes })
      const durationMs = performance.now() - started
      progress({ type: 'shardDone', shard, bytes: merged.bytes, durationMs })
      return { ...shard, ...merged, durationMs }
    } finally {
      await files.close()
    }
  }

  async #mergeFiles(
    files: ShardFiles,
    { group }: ListedShard,
    { into, onBytes }: { readonly into: PolicyName; readonly onBytes: (bytes: number) => void },
  ): Promise<Omit<MergedShard, 'database' | 'retentionPolicy' | 'shardId' | 'durationMs'>> {
    const { range: wanted, dryRun, target } = this.#options
    const { asLines } = target
    const whole = { start: startOfGroup(group), end: group.endTime - 1n }
    const range = intersect(whole, wanted) ?? whole
    const total = { added: 0, equal: 0, conflicting: 0, bytes: 0 }
    const newShardIds: bigint[] = []
    const overruled: OverruledPoints[] = []
    const { windows, made } = await this.#windows(files, range, into)
    for (const window of windows) {
      if (window.live === undefined) {
        if (dryRun) total.added += await this.#countPoints(files, window)
        continue
      }
      const { live } = window
      const findOthers = () => this.#others(window, live, into)
      const piece = { files, range: window, live, findOthers }
      const before = total.bytes
      const report = (bytes: number) => onBytes(before + bytes)
      const merged = await atDestination(() =>
        mergeShard(piece, { ...this.#options, asLines, onBytes: report }),
      )
      for (const name of ['added', 'equal', 'conflicting', 'bytes'] as const)
        total[name] += merged[name]
      newShardIds.push(window.live.shard.id)
      if (merged.overruled !== undefined) {
        const where = { ...shardName(window.live), isCold: isCold(window.live.group) }
        overruled.push({ ...where, ...merged.overruled })
      }
    }
    // Points that were written to make groups were new before they were equal.
    const counts = { added: total.added + made, equal: total.equal - made }
    return { ...total, ...counts, newShardIds, overruled }
  }

  /** Once the beginning of a group wraps, influxd does not find it for its times any more and makes another one. */
  async #others(range: ExactRange, live: ListedShard, into: PolicyName): Promise<ListedShard[]> {
    const { startTime, endTime } = live.group
    if (startTime > endTime) this.#live = listShards(await this.#options.target.metastore())
    const over = shardsOver(range, this.#live.filter(isOf(into)))
    return over.filter(({ shard }) => shard.id !== live.shard.id)
  }

  /** Cuts a range at the live groups. Where there is none, one is made if there are points. */
  async #windows(
    files: ShardFiles,
    range: ExactRange,
    into: PolicyName,
  ): Promise<{ readonly windows: readonly MergeWindow[]; readonly made: number }> {
    const empty = new Set<bigint>()
    for (let made = 0; ; ) {
      const windows = cutAtGroups(range, this.#live.filter(isOf(into)))
      const gap = windows.find(({ live, start }) => live === undefined && !empty.has(start))
      if (gap === undefined || this.#options.dryRun) return { windows, made }
      const first = await this.#firstPoint(files, gap)
      if (first === undefined) {
        empty.add(gap.start)
        continue
      }
      made += await this.#makeGroup(first, into)
    }
  }

  async #firstPoint(files: ShardFiles, range: ExactRange): Promise<MergePoint | undefined> {
    const { source, keepKey, target, signal } = this.#options
    const options = { source, range, keepKey, signal }
    for await (const { key, type, blocks } of readPoints([files], options)) {
      for await (const block of blocks) {
        const found = firstPoint({ key, type }, block, target)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  /** Returns how many points were written. */
  async #makeGroup(point: MergePoint, into: PolicyName): Promise<number> {
    const { target } = this.#options
    const known = new Set(this.#live.map(({ shard }) => shard.id))
    const written = await target.makeGroup(point, into)
    this.#live = listShards(await target.metastore())
    const isNew = (listed: ListedShard) => isOf(into)(listed) && !known.has(listed.shard.id)
    if (this.#live.some(isNew)) return written
    throw new SnapError(
      'E_DESTINATION',
      `${target.name} took a point of ${into.database}.${into.retentionPolicy} and made no shard for it`,
    )
  }

  async #countPoints(files: ShardFiles, range: ExactRange): Promise<number> {
    const { source, keepKey, signal } = this.#options
    let points = 0
    const keys = readPoints([files], { source, range, keepKey, signal })
    for await (const { blocks } of keys) {
      for await (const { times } of blocks) points += times.length
    }
    return points
  }
}

function isOf({ database, retentionPolicy }: PolicyName): (listed: ListedShard) => boolean {
  return (listed) => listed.database === database && listed.retentionPolicy === retentionPolicy
}
