import { EXIT_CODES, SnapError } from '../errors.ts'
import type { Catalog, CatalogFile, CatalogShard, ShardEvidence } from './catalog.ts'
import { decodeCatalog } from './catalog.ts'
import { inScope } from './holds.ts'
import type { ListedSet, SetListing } from './listing.ts'
import { catalogName, sidecarBeside } from './names.ts'
import { filesByName } from './set-files.ts'
import { decodeStored, readSmallFile } from './source.ts'

/** An archive that another set may name too, as long as its shard has not changed. */
export interface ReusableShard extends CatalogShard {
  readonly evidence: ShardEvidence
  /** The newest set that names it. */
  readonly set: string
  /** The archive and its sidecar. */
  readonly files: readonly CatalogFile[]
  /** True if both have `.pending` names: a run that died had finished them. */
  readonly isPending?: boolean | undefined
}

/** A shard of the metastore that is backed up. */
export type WantedShard = Pick<
  CatalogShard,
  'shardId' | 'database' | 'retentionPolicy' | 'start' | 'end'
>

/** Which sets an archive may come from. */
export interface ReuseRules {
  /** ClusterID of the server that is backed up. */
  readonly clusterId: bigint
  /** What else the set of an archive must be. */
  readonly accepts?: ((catalog: Catalog) => boolean) | undefined
  /** A catalog that was read already. */
  readonly known?: Catalog | undefined
}

/**
 * Finds the newest archives of shards, by their ids, reading catalogs alone and no more of them than are needed. A shard is
 * the same if database, policy and the times of its group are. Archives and sidecars must be there with the size that
 * their catalog says; sets whose catalog cannot be read have none.
 */
export async function findReusable(
  listing: SetListing,
  shards: readonly WantedShard[],
  { clusterId, accepts = () => true, known }: ReuseRules,
  signal?: AbortSignal,
): Promise<ReadonlyMap<bigint, ReusableShard>> {
  const found = new Map<bigint, ReusableShard>()
  let wanted = shards
  for (const set of listing.sets) {
    if (wanted.length === 0) break
    const catalog = set.name === known?.set ? known : await readOrPass(listing, set, signal)
    if (catalog === undefined || catalog.kind !== 'full') continue
    if (catalog.server.clusterId !== clusterId) continue
    const held = new Map(catalog.shards?.map((shard) => [shard.shardId, shard]))
    if (accepts(catalog)) {
      for (const shard of wanted) {
        const reusable = reusableOf(listing, catalog, held.get(shard.shardId))
        if (reusable && isSameShard(reusable, shard)) found.set(shard.shardId, reusable)
      }
    }
    wanted = wanted.filter(
      (shard) =>
        !found.has(shard.shardId) && (held.has(shard.shardId) || mayBeOlder(catalog, shard)),
    )
  }
  return found
}

async function readOrPass(
  { source, files }: SetListing,
  { name: set }: ListedSet,
  signal: AbortSignal | undefined,
): Promise<Catalog | undefined> {
  const name = catalogName(set)
  if (!files.has(name)) return undefined
  try {
    const { bytes } = await readSmallFile(source, name, signal)
    const catalog = decodeStored(source, name, (what) => decodeCatalog(bytes, what))
    return catalog.set === set ? catalog : undefined
  } catch (error) {
    const isDamage = error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
    if (!isDamage) throw error
    return undefined
  }
}

function reusableOf(
  { files: present }: SetListing,
  catalog: Catalog,
  shard: CatalogShard | undefined,
): ReusableShard | undefined {
  if (shard?.evidence === undefined) return undefined
  const { archive, evidence } = shard
  const described = filesByName(catalog)
  const files: CatalogFile[] = []
  for (const name of [archive, sidecarBeside(archive)]) {
    const file = name === undefined ? undefined : described.get(name)
    if (file === undefined || present.get(file.name)?.size !== file.size) return undefined
    files.push(file)
  }
  return { ...shard, evidence, set: catalog.set, files }
}

/** Tells whether two shards have the same place in the metastore. */
export function isSameShard(a: WantedShard, b: WantedShard): boolean {
  return (
    a.database === b.database &&
    a.retentionPolicy === b.retentionPolicy &&
    a.start === b.start &&
    a.end === b.end
  )
}

/** A set that was to hold all of what a shard is of, and does not hold it, is older than the shard. */
function mayBeOlder(catalog: Catalog, shard: WantedShard): boolean {
  const { skipped, unchanged = [], shards } = catalog
  if (shards === undefined || !inScope(catalog, shard)) return true
  return [...skipped, ...unchanged].some(({ shardId }) => shardId === shard.shardId)
}
