import { findDatabase, findRetentionPolicy, type ListedShard } from '../meta/index.ts'
import { type Holding, readHoldings } from '../portable/holdings.ts'
import type { SetListing } from '../portable/listing.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import { parseFileName, sidecarName } from '../portable/names.ts'
import { decodeSidecar, type SidecarFile } from '../portable/sidecar.ts'
import { readSmallFile } from '../portable/source.ts'
import { type ChangeProbe, hasChanged } from './fetch-shard.ts'
import type { ShardName } from './inspect.ts'
import { shardName } from './plan-shards.ts'
import { type Selection, selectShards } from './selection.ts'
import type { ShardSource } from './shard-source.ts'

/** A shard that its retention policy is about to drop. */
export interface ExpiringShard extends ShardName {
  /** Nanoseconds since the epoch: what it holds, the end not in it. */
  readonly start: bigint
  readonly end: bigint
  /** From when on influxd drops it; it looks every 30 minutes. */
  readonly drops: bigint
  /**
   * `held`: a verified set has it as it is. `unverified`: only a set that was never verified has. `changed`: it may have changed since the
   * newest set that has it. `absent`: no set has it.
   */
  readonly state: 'held' | 'unverified' | 'changed' | 'absent'
  /** The set that has it. */
  readonly set?: string | undefined
}

/** What is looked at. */
export interface ExpiryOptions {
  readonly source: ShardSource
  readonly selection: Selection
  /** The sets that there are. */
  readonly listing: SetListing
  /** The names of those that were verified. */
  readonly verified: ReadonlySet<string>
  /** How far is looked ahead, in ms. */
  readonly within: number
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly signal: AbortSignal
}

const NANOSECONDS = 1_000_000n
/** How far the clocks of server and client may be apart, in nanoseconds. */
const CLOCK_SLACK = 60n * 1000n * NANOSECONDS
/** Tars have whole seconds, rounded. */
const ROUNDING_MS = 1000

/**
 * Lists the shards that their policies will drop soon, the next first, and says which sets hold them. Shards that still take new
 * points are left out: they cannot be held for good. Whether a shard has changed is asked of the source as `--since` asks;
 * a compaction counts as a change.
 * @throws SnapError what the source throws
 */
export async function findExpiring(options: ExpiryOptions): Promise<ExpiringShard[]> {
  const { source, selection, listing, verified, within, now, signal } = options
  const { data, present } = await source.readMetastore(selection, signal)
  const horizon = BigInt(now + Math.round(within)) * NANOSECONDS
  const onlyVerified = { ...listing, sets: listing.sets.filter(({ name }) => verified.has(name)) }
  const good = await readHoldings(onlyVerified, signal)
  const any = await readHoldings(listing, signal)
  const found: ExpiringShard[] = []
  for (const shard of selectShards(data, selection)) {
    const duration = durationOf(shard)
    const { startTime: start, endTime: end } = shard.group
    const drops = end + duration
    if (duration === 0n || drops > horizon || end > BigInt(now) * NANOSECONDS) continue
    // Nothing was ever written to it, or it is dropped already.
    if (!present.has(shard.shard.id)) continue
    const name = shardName(shard)
    const holdings = [good.newest.get(name.shardId), any.newest.get(name.shardId)] as const
    const isHeld = (holding: Holding) => isUnchanged(name, holding, options)
    const state = await stateOf(holdings, isHeld)
    const set = parseFileName((holdings[0] ?? holdings[1])?.entry.fileName ?? '')?.set
    found.push({ ...name, start, end, drops, state, ...(set && { set }) })
  }
  return found.sort((a, b) => (a.drops < b.drops ? -1 : 1))

  function durationOf({ database, retentionPolicy }: ListedShard): bigint {
    const owner = findDatabase(data, database)
    return (owner && findRetentionPolicy(owner, retentionPolicy)?.duration) ?? 0n
  }
}

/** Says how a shard is held, by the newest verified set that has it and by the newest of all. */
async function stateOf(
  [verified, newest]: readonly [Holding | undefined, Holding | undefined],
  isHeld: (holding: Holding) => Promise<boolean>,
): Promise<ExpiringShard['state']> {
  if (verified !== undefined && (await isHeld(verified))) return 'held'
  if (newest === undefined) return 'absent'
  return newest !== verified && (await isHeld(newest)) ? 'unverified' : 'changed'
}

/**
 * Tells whether a shard is still as a set holds it. What the backup itself made the server write, out of its cache, is newer than
 * the beginning of the set, and in it: it is known by name, size and time.
 */
async function isUnchanged(
  shard: ShardName,
  { entry, until }: Holding,
  { source, listing, signal }: ExpiryOptions,
): Promise<boolean> {
  const since = until - CLOCK_SLACK
  if (!(await hasChanged(source, { shard, since }, signal))) return true
  const archived = await filesOf(listing, entry, signal)
  const newest = Math.max(...archived.map(({ modified = '' }) => Date.parse(modified)))
  if (!Number.isFinite(newest)) return false
  // What changes later is no older than the newest of them, but for the rounding of times in a tar.
  const recent = BigInt(newest - ROUNDING_MS) * NANOSECONDS
  const isKnown: ChangeProbe['isKnown'] = ({ name, size, mtime }) =>
    archived.some(
      (file) =>
        name.endsWith(`/${file.name}`) &&
        size === file.size &&
        mtime.toISOString() === file.modified,
    )
  const probe = { shard, since: recent > since ? recent : since, isKnown }
  return !(await hasChanged(source, probe, signal))
}

/** Lists the files of an archive; none if it has no sidecar that can be read here. */
async function filesOf(
  { source, files }: SetListing,
  { fileName, shardId }: ManifestEntry,
  signal: AbortSignal,
): Promise<readonly SidecarFile[]> {
  const name = sidecarName(parseFileName(fileName)?.set ?? '', shardId)
  if (!files.has(name)) return []
  return decodeSidecar((await readSmallFile(source, name, signal)).bytes, name).files
}
