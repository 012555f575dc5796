import { type HttpClient, LineWriter } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { findKeyProblem } from '../formats/line-protocol.ts'
import type { FieldPoints, PolicyName } from '../formats/points.ts'
import { findDatabase, findRetentionPolicy, type ListedShard, listShards } from '../meta/index.ts'
import { sliceBlock } from '../tsm/values.ts'
import { atDestination } from './at-destination.ts'
import type { BackupSource } from './backup-source.ts'
import { type ExactRange, intersect } from './exact-range.ts'
import { ExportTally, measurementName } from './export-tally.ts'
import { describeShard } from './inspect.ts'
import { each, type MergeShardOptions } from './merge-look.ts'
import { isCold, mergeShard } from './merge-shard.ts'
import { cutAtGroups, type MergeWindow } from './merge-windows.ts'
import type { MergedShard, MergeOptions, OverruledPoints } from './merge-wish.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import { readPoints } from './read-points.ts'
import { sendPoints } from './send-points.ts'
import type { KeepKey } from './series-selection.ts'
import type { OpenServer } from './server.ts'
import type { HttpPlace } from './server-http.ts'
import type { ShardFiles } from './shard-source.ts'
import type { Throttle } from './throttle.ts'
import { endpointOf } from './write-endpoint.ts'

type RunOptions = Omit<MergeOptions, 'http'> & {
  readonly server: OpenServer
  readonly http: HttpClient
  readonly httpCredentials: Pick<HttpPlace, 'user' | 'password'>
  readonly source: BackupSource
  readonly keepKey: KeepKey | undefined
  readonly throttle: Throttle
  readonly progress: Progress
  /** Upload however few points there are. */
  readonly byFile?: boolean | undefined
}

const NANOSECONDS_PER_MS = 1_000_000n

/** One merge while it runs. */
export class MergeRun {
  /** What cannot be written over HTTP. */
  readonly tally = new ExportTally()
  readonly #options: RunOptions
  /** The shards of the server, as they were looked at last. */
  #live: readonly ListedShard[] = []

  constructor(options: RunOptions) {
    this.#options = options
  }

  /**
   * Checks that the server has the databases and policies, and that they keep what they are to get.
   * @throws SnapError `E_DESTINATION`
   */
  async checkTarget(
    stored: readonly { readonly shard: ListedShard; readonly into: PolicyName }[],
  ): Promise<void> {
    const { server, signal } = this.#options
    const data = await atDestination(() => server.client.metastoreBackup(signal))
    this.#live = listShards(data)
    for (const { shard, into } of stored) {
      const database = findDatabase(data, into.database)
      const policy = database && findRetentionPolicy(database, into.retentionPolicy)
      if (policy === undefined) throw notThere(server.name, into, database !== undefined)
      const now = BigInt(Date.now()) * NANOSECONDS_PER_MS
      if (policy.duration === 0n || shard.group.endTime + policy.duration > now) continue
      throw tooOld(shard, into)
    }
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
    const { range: wanted, dryRun } = this.#options
    const whole = { start: group.startTime, end: group.endTime - 1n }
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
      const piece = { files, range: window, live: window.live }
      const before = total.bytes
      const options = this.#shardOptions(into, (bytes) => onBytes(before + bytes))
      const merged = await atDestination(() => mergeShard(piece, options))
      for (const name of ['added', 'equal', 'conflicting', 'bytes'] as const)
        total[name] += merged[name]
      newShardIds.push(window.live.shard.id)
      if (merged.overruled !== undefined) {
        const where = { ...shardName(window.live), isCold: isCold(window.live.group) }
        overruled.push({ ...where, ...merged.overruled })
      }
    }
    // The points that made groups were new before they were equal.
    return {
      ...total,
      added: total.added + made,
      equal: total.equal - made,
      newShardIds,
      overruled,
    }
  }

  /** Cuts a range at the live groups. Where there is none, the first point that is written makes one. */
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
      await this.#makeGroup(first, into)
      made++
    }
  }

  async #firstPoint(files: ShardFiles, range: ExactRange): Promise<FieldPoints | undefined> {
    const { source, keepKey, signal } = this.#options
    for await (const { key, type, blocks } of readPoints([files], {
      ...{ source, range, keepKey, signal },
    })) {
      if (findKeyProblem(key) !== undefined) continue
      for await (const block of blocks) {
        const at = block.times.findIndex(
          (_, i) => block.type !== 'float' || Number.isFinite(block.values[i]),
        )
        if (at < 0) continue
        return { key: Uint8Array.from(key), type, blocks: each([sliceBlock(block, at, at + 1)]) }
      }
    }
    return undefined
  }

  async #makeGroup(point: FieldPoints, into: PolicyName): Promise<void> {
    const { server, signal } = this.#options
    const known = new Set(this.#live.map(({ shard }) => shard.id))
    await sendPoints(
      each([point]),
      this.#shardOptions(into, () => {}),
    )
    const data = await atDestination(() => server.client.metastoreBackup(signal))
    this.#live = listShards(data)
    if (this.#live.some((listed) => isOf(into)(listed) && !known.has(listed.shard.id))) return
    throw new SnapError(
      'E_DESTINATION',
      `${server.name} took a point of ${into.database}.${into.retentionPolicy} and made no shard for it`,
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

  #shardOptions(into: PolicyName, onBytes: (bytes: number) => void): MergeShardOptions {
    const { http, httpCredentials } = this.#options
    const endpoint = endpointOf({ ...httpCredentials, url: new URL(http.url) }, into)
    return {
      ...this.#options,
      onBytes,
      writer: new LineWriter(endpoint),
      onLeftOut: ({ key, reason, points }) =>
        this.tally.leaveOut(
          measurementName(into, key),
          reason,
          points === undefined ? { keys: 1 } : { points },
        ),
    }
  }
}

function isOf({ database, retentionPolicy }: PolicyName): (listed: ListedShard) => boolean {
  return (listed) => listed.database === database && listed.retentionPolicy === retentionPolicy
}

function notThere(server: string, into: PolicyName, hasDatabase: boolean): SnapError {
  const { database, retentionPolicy } = into
  const message = hasDatabase
    ? `${server}: database ${JSON.stringify(database)} has no retention policy ${JSON.stringify(retentionPolicy)}`
    : `${server} has no database ${JSON.stringify(database)}`
  return new SnapError('E_DESTINATION', message, {
    hint: hasDatabase
      ? 'make the policy first, or choose another one with --rp and --newrp'
      : 'restore without --merge makes it',
  })
}

function tooOld({ group, ...shard }: ListedShard, into: PolicyName): SnapError {
  const policy = `${into.database}.${into.retentionPolicy}`
  return new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shardName({ group, ...shard }))} is older than policy ${policy} keeps points: the server would refuse or drop them`,
    {
      hint: 'lengthen the policy first (ALTER RETENTION POLICY), or merge into another one (--newrp)',
    },
  )
}
