import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/durable.ts'
import type { Wanted } from './holds.ts'
import { holdsPart, holdsWhole } from './holds.ts'
import { isLegacyFile } from './legacy.ts'
import type { BackupSet, ListedSet, SetListing } from './sets.ts'
import { readSet } from './sets.ts'

/** What is wanted of a place with sets. */
export interface SetWish extends Wanted {
  /** The name of a set, or a time that the set was begun at or before. Default: any. */
  readonly set?: string | Date | undefined
  /** What is wanted out of the same set besides. */
  readonly also?: readonly Wanted[] | undefined
}

/** The error for a place without a set, saying what else is there. */
export function noBackup({ source, files }: SetListing): SnapError {
  const names = [...files.keys()]
  const message = `no backup in ${source.url}`
  if (names.some(isLegacyFile)) {
    return new SnapError('E_NO_BACKUP', `${message}: no portable sets`, {
      hint: 'it holds a backup made by influxd without -portable',
    })
  }
  if (names.some((name) => name.endsWith(PENDING_SUFFIX))) {
    return new SnapError('E_NO_BACKUP', `${message}: only an unfinished one`, {
      hint: 'a backup that was cut short leaves files ending in .pending; run it again',
    })
  }
  return new SnapError('E_NO_BACKUP', message)
}

/**
 * Returns the sets that a wish leaves to look at, newest first.
 * @throws SnapError `E_NOTHING_MATCHED` if there are sets and none of them is meant
 */
export function candidates(
  { source, sets }: SetListing,
  { set: wanted }: Pick<SetWish, 'set'>,
): readonly ListedSet[] {
  if (wanted === undefined) return sets
  const isTime = typeof wanted !== 'string'
  const found = sets.filter(({ name, time }) =>
    isTime ? time.getTime() <= wanted.getTime() : name === wanted,
  )
  if (found.length > 0) return found
  const message = isTime
    ? `no set begun at or before ${wanted.toISOString()}, the oldest is ${sets.at(-1)?.name}`
    : `no set ${wanted}, the newest is ${sets[0]?.name}`
  throw new SnapError('E_NOTHING_MATCHED', `${source.url}: ${message}`, {
    hint: '`snap list` shows the sets of a target',
  })
}

/**
 * Finds and reads the set to restore from: the newest that holds all of what is wanted, or the one that is named if it
 * holds any of it. A newer set that cannot be read is an error, never passed over in silence.
 * @throws SnapError `E_NO_BACKUP` if there is no set, `E_NOTHING_MATCHED` if none is or holds what is wanted,
 * `E_INTEGRITY` if a set on the way cannot be read
 */
export async function selectSet(
  listing: SetListing,
  wish: SetWish,
  signal?: AbortSignal,
): Promise<BackupSet> {
  if (listing.sets.length === 0) throw noBackup(listing)
  const wanted = [wish, ...(wish.also ?? [])]
  let newestPart: string | undefined
  for (const listed of candidates(listing, wish)) {
    const set = await readOrExplain(listing, listed, signal)
    const isNamed = typeof wish.set === 'string'
    const isIn = (each: Wanted) => holdsWhole(set, each) || (isNamed && holdsPart(set, each))
    if (wanted.every(isIn)) return set
    if (wanted.some((each) => holdsPart(set, each))) newestPart ??= set.name
  }
  throw nothingMatched(listing, wish, newestPart)
}

function nothingMatched(
  { source }: SetListing,
  { set, also = [], ...first }: SetWish,
  newestPart: string | undefined,
): SnapError {
  const what = [first, ...also].map(describe).join(' and ')
  const where = typeof set === 'string' ? `set ${set}` : 'any set'
  const whole = newestPart === undefined ? '' : ' as a whole'
  return new SnapError('E_NOTHING_MATCHED', `${source.url}: ${what} is not in ${where}${whole}`, {
    hint: newestPart && `set ${newestPart} has a part of it (--set ${newestPart})`,
  })
}

function describe({ database, retentionPolicy, shardId }: Wanted): string {
  const named = Object.entries({ database, 'retention policy': retentionPolicy, shard: shardId })
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${value}`)
  return named.length === 0 ? 'everything' : named.join(', ')
}

async function readOrExplain(
  listing: SetListing,
  set: ListedSet,
  signal: AbortSignal | undefined,
): Promise<BackupSet> {
  try {
    return await readSet(listing, set, signal)
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== 13) throw error
    const older = listing.sets.find(({ name }) => name < set.name)
    const hint = older && `set ${set.name} is damaged; an older one is ${older.name} (--set)`
    throw new SnapError(error.code, error.message, { cause: error, hint: hint ?? error.hint })
  }
}
