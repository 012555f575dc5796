import { tmpdir } from 'node:os'
import { EXIT_CODES, SnapError } from '../errors.ts'
import { matchesName } from '../meta/index.ts'
import { readLegacy } from '../portable/legacy.ts'
import { parseFileName } from '../portable/names.ts'
import { type SetWish, selectSet } from '../portable/select-set.ts'
import { type BackupSet, listSets } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import type { ShardName } from './inspect.ts'
import { noProgress, type Progress } from './progress.ts'
import { archivePart, legacyRestorable, type Restorable, setRestorable } from './restorable.ts'
import { type ChainChoice, findChain } from './stock-chain.ts'

/** How a backup is opened. */
export interface OpenRestorableOptions {
  readonly signal?: AbortSignal | undefined
  /** What older sets of influxd count for; left out, their files decide. */
  readonly chain?: ChainChoice | undefined
  /** Gets archives of which the points are compared; default the system's. */
  readonly tempDir?: string | undefined
  /** Told of a chain of influxd. */
  readonly progress?: Progress | undefined
}

/**
 * Finds the backup in a store that holds what is wanted: a set of snap or influxd, or a legacy directory.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY`
 */
export async function openRestorable(
  store: Store,
  wish: SetWish,
  options: OpenRestorableOptions = {},
): Promise<Restorable> {
  const { signal } = options
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) {
    const legacy = await readLegacy(store, listing.files, signal)
    if (legacy !== undefined && wish.set === undefined) return legacyRestorable(store, legacy)
  }
  return await withChain(store, await selectSet(listing, wish, signal), { ...options, wish })
}

/**
 * Finds a backup as {@link openRestorable} does, and reads a set without its catalog if that is what is damaged.
 * @param onDamage told what is wrong with it
 */
export async function openDamaged(
  store: Store,
  wish: SetWish,
  options: OpenRestorableOptions & {
    readonly signal: AbortSignal
    readonly onDamage: (why: string) => void
  },
): Promise<Restorable> {
  const { signal, onDamage } = options
  try {
    return await openRestorable(store, wish, options)
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    const listing = { ...(await listSets(store, signal)), withoutCatalogs: true }
    const set = await selectSet(listing, wish, signal)
    const isStock = listing.sets.some(({ name, kind }) => name === set.name && kind === 'stock')
    const lack = isStock ? 'older archives are all taken' : 'its hashes could not be checked'
    onDamage(`${error.message}: ${lack}`)
    return options.chain === 'newest' ? setRestorable(store, set) : withAllOlder(store, set)
  }
}

/** Takes for each shard of a set of influxd all the archives that hold it together, and says so. */
async function withChain(
  store: Store,
  backup: BackupSet,
  options: OpenRestorableOptions & { readonly wish: SetWish },
): Promise<Restorable> {
  const { wish, chain: choice, tempDir = tmpdir(), progress = noProgress, signal } = options
  const restorable = setRestorable(store, backup)
  const isWanted = wantedBy(wish)
  const chain = await findChain(store, backup, { choice, isWanted, tempDir, signal }).catch(
    withHint,
  )
  if (chain.size === 0) return restorable
  const parts = [...chain.values()].flat()
  const sets = [...new Set(parts.map(({ name }) => parseFileName(name)?.set ?? name))].sort()
  progress({ type: 'note', level: 'warning', message: describeChain(sets, chain.size) })
  const shards = restorable.shards.map((shard) => {
    const parts = chain.get(shard.shardId)
    return parts === undefined ? shard : { ...shard, parts, isUnion: parts.length > 1 }
  })
  return { ...restorable, shards }
}

/** An older archive that is damaged may not be needed. */
function withHint(error: unknown): never {
  if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
  throw new SnapError(error.code, error.message, {
    cause: error,
    hint: 'it cannot be told what older sets of influxd hold; if the newest is whole, --chain newest takes it alone',
  })
}

/** Takes all archives of the shards of a set of influxd: what is damaged cannot tell which of them count. */
function withAllOlder(store: Store, backup: BackupSet): Restorable {
  const restorable = setRestorable(store, backup)
  const shards = restorable.shards.map((shard) => {
    const older = backup.older.filter(({ shardId }) => shardId === shard.shardId)
    const parts = [...shard.parts, ...older.map((entry) => archivePart(store, entry, undefined))]
    return { ...shard, parts, isUnion: parts.length > 1 }
  })
  return { ...restorable, shards }
}

function wantedBy({ also = [], ...first }: SetWish): (shard: ShardName) => boolean {
  return ({ database, retentionPolicy, shardId }) =>
    [first, ...also].some(
      (wanted) =>
        (wanted.database === undefined || matchesName(wanted.database, database)) &&
        (wanted.retentionPolicy ?? retentionPolicy) === retentionPolicy &&
        (wanted.shardId ?? shardId) === shardId,
    )
}

/** The most sets that are named. */
const MAX_NAMED = 10

function describeChain(sets: readonly string[], shards: number): string {
  const named = sets.slice(0, MAX_NAMED).join(', ')
  const more = sets.length > MAX_NAMED ? ` and ${sets.length - MAX_NAMED} more` : ''
  const of = shards === 1 ? '1 shard is' : `${shards} shards are`
  return (
    `${of} put together out of the sets ${named}${more} of influxd: the newest does not hold all of it; ` +
    'points deleted in between may come back (--chain newest takes the newest alone)'
  )
}
