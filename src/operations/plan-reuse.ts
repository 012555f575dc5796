import type { HttpClient } from '../client/index.ts'
import { EXIT_CODES, SnapError } from '../errors.ts'
import { parseSetName } from '../portable/names.ts'
import type { ReusableShard } from '../portable/reusable.ts'
import { hasChanged } from './fetch-shard.ts'
import { mapParallel } from './parallel.ts'
import type { Selection } from './selection.ts'
import type { ShardSource } from './shard-source.ts'
import { differenceFrom, readShardStats } from './shard-stats.ts'

/** How a backup finds out what has not changed. */
export interface Incremental {
  /** How old an archive may be that a new set names, in ms; 0: none. */
  readonly fullEvery: number
  /** Take the word of influxd that no file is newer, where its figures cannot be had. */
  readonly trustProbe: boolean
}

/** A shard whose archive need not be made anew. */
export interface UnchangedArchive {
  readonly shard: ReusableShard
  /** True if it is shown to hold all that the server has now. */
  readonly complete: boolean
}

/** What older archives are good for. By shard ids. */
export interface ReusePlan {
  /** All that could be named again if their content is what the server has. */
  readonly candidates: ReadonlyMap<bigint, ReusableShard>
  /** Those that are known to be. */
  readonly unchanged: ReadonlyMap<bigint, UnchangedArchive>
  /** Those that seem to be: to be read and compared, and stored only if they differ. */
  readonly compare: ReadonlySet<bigint>
  /** Why all is fetched. */
  readonly fullBecause?: string | undefined
}

/** The archives that there are, by shard ids. */
export interface Archives {
  /** Those of older sets; undefined if the backup is not to be incremental. */
  readonly shared: ReadonlyMap<bigint, ReusableShard> | undefined
  /** Those that runs which died had finished. */
  readonly finished: ReadonlyMap<bigint, ReusableShard>
}

/** Who is asked. */
export interface ReuseOptions extends Incremental {
  readonly source: ShardSource
  readonly selection: Selection
  readonly http?: HttpClient | undefined
  /** The server's clock now, if it could be asked. */
  readonly clock?: bigint | undefined
  readonly jobs: number
  readonly signal: AbortSignal
}

/** Clocks are set right now and then; a set's name is a second or two ahead. */
const AHEAD_MS = 60 * 60 * 1000

/** Asks the source which of the archives still are what it has (docs/incremental.md). */
export async function planReuse(
  { shared, finished }: Archives,
  options: ReuseOptions,
): Promise<ReusePlan> {
  const { source, selection, signal } = options
  const fullBecause = shared && whyFull([...shared.values()], options)
  const usable = fullBecause === undefined ? (shared ?? []) : []
  const candidates = new Map([...usable, ...finished])
  const plan = { candidates, unchanged: new Map(), compare: new Set<bigint>(), fullBecause }
  if (candidates.size === 0) return plan
  const states = await source.readStates?.(selection, signal)
  if (states === undefined) await askServer(plan, options)
  else {
    for (const [shardId, shard] of candidates) {
      const { state, shape } = states.get(shardId) ?? {}
      if (state === undefined) continue
      if (state === shard.evidence.state) plan.unchanged.set(shardId, { shard, complete: true })
      else if (shape === shard.evidence.shape) plan.compare.add(shardId)
    }
  }
  return plan
}

function whyFull(shards: readonly ReusableShard[], { fullEvery }: Incremental): string | undefined {
  if (fullEvery === 0) return 'as asked for (--full-every 0)'
  if (shards.length === 0) return 'no older set here has an archive to share'
  const now = Date.now()
  const ages = new Map<string, number>()
  for (const { archive } of shards) {
    const set = archive.slice(0, 16)
    const age = ages.get(set) ?? now - (parseSetName(set)?.getTime() ?? 0)
    ages.set(set, age)
    if (age > fullEvery) return `${archive} is older than --full-every`
    if (age < -AHEAD_MS) return `${archive} is of a time to come: a clock was set back`
  }
  return undefined
}

/** {@link ReusePlan} while it is made. */
interface Draft {
  readonly candidates: ReadonlyMap<bigint, ReusableShard>
  readonly unchanged: Map<bigint, UnchangedArchive>
  readonly compare: Set<bigint>
}

/** Asks influxd: for files that are newer, and then, so that nothing slips in between, for the figures of its shards. */
async function askServer({ candidates, ...draft }: Draft, options: ReuseOptions): Promise<void> {
  const { http, trustProbe, signal } = options
  const still = await probe([...candidates.values()], options)
  if (still.length === 0) return
  const stats = http && (await readShardStats(http, signal))
  for (const shard of still) {
    const { shardId, evidence } = shard
    if (stats !== undefined) {
      const difference = differenceFrom(stats.get(shardId), evidence)
      if (difference === undefined) draft.unchanged.set(shardId, { shard, complete: true })
    } else if (trustProbe) draft.unchanged.set(shardId, { shard, complete: false })
    else draft.compare.add(shardId)
  }
}

/** Returns the shards that have no file which is newer than their archive. */
async function probe(
  shards: readonly ReusableShard[],
  { source, clock, jobs, signal }: ReuseOptions,
): Promise<ReusableShard[]> {
  const still: ReusableShard[] = []
  await mapParallel(shards, { jobs, signal }, async (shard, stop) => {
    const { since } = shard.evidence
    if (since === undefined || (clock !== undefined && clock < since)) return
    try {
      if (!(await hasChanged(source, { shard, since }, stop))) still.push(shard)
    } catch (error) {
      // Whether it can be had at all is for the fetch to find out.
      if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    }
  })
  return still
}
