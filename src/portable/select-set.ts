import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { namesHint } from '../suggest.ts'
import type { Wanted } from './holds.ts'
import { holdsPart, holdsWhole } from './holds.ts'
import { isLegacyFile } from './legacy.ts'
import { listHeadless } from './listing.ts'
import { formatSetName, manifestName } from './names.ts'
import type { BackupSet, ListedSet, SetListing } from './sets.ts'
import { listSets, readSet } from './sets.ts'

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

/** The same as {@link noBackup}, but for a set that has lost its manifest: that is damage. */
export async function nothingToTake(
  listing: SetListing,
  signal: AbortSignal | undefined,
): Promise<SnapError> {
  const headless = await findHeadless(listing, () => true, signal)
  return headless === undefined ? noBackup(listing) : noManifest(listing, headless)
}

/** Returns a set that is meant and has lost its manifest. One that was finished while the place was listed has it by now. */
async function findHeadless(
  listing: SetListing,
  isMeant: (set: string) => boolean,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (!listHeadless(listing).some(isMeant)) return undefined
  return listHeadless(await listSets(listing.source, signal)).find(isMeant)
}

function noManifest({ source }: SetListing, set: string): SnapError {
  const message = `${source.url}: ${manifestName(set)} is missing: its set cannot be restored`
  return new SnapError('E_INTEGRITY', message, {
    hint: 'bring it back from a copy of the set, or take an older set by name (--set)',
  })
}

/**
 * Refuses to take `chosen` where a newer set that is meant as well has lost its manifest, as one that cannot be read is refused.
 * @throws SnapError `E_INTEGRITY`
 */
async function refuseHeadless(
  listing: SetListing,
  { set: wanted }: Pick<SetWish, 'set'>,
  chosen: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (typeof wanted === 'string') return
  const isMeant = (set: string) =>
    set > chosen && (wanted === undefined || set <= formatSetName(wanted))
  const headless = await findHeadless(listing, isMeant, signal)
  if (headless !== undefined) throw noManifest(listing, headless)
}

/**
 * Returns the sets that a wish leaves to look at, newest first.
 * @throws SnapError `E_NOTHING_MATCHED` if there are sets and none of them is meant, `E_INTEGRITY` if the one that is has lost
 * its manifest
 */
export function candidates(
  listing: SetListing,
  { set: wanted }: Pick<SetWish, 'set'>,
): readonly ListedSet[] {
  const { source, sets } = listing
  if (wanted === undefined) return sets
  const isTime = typeof wanted !== 'string'
  const found = isTime
    ? sets.filter(({ time }) => time.getTime() <= wanted.getTime())
    : namedSets(sets, wanted)
  if (!isTime && found.length > 1) {
    const names = found.map(({ name }) => name).join(', ')
    throw new SnapError(
      'E_NOTHING_MATCHED',
      `${source.url}: ${wanted} may be any of ${found.length} sets`,
      { hint: `give more of the name: ${names.slice(0, MAX_HINT)}` },
    )
  }
  if (found.length > 0) return found
  const headless = listHeadless(listing).find((set) => set === wanted)
  if (headless !== undefined) throw noManifest(listing, headless)
  const message = isTime
    ? `no set begun at or before ${wanted.toISOString()}, the oldest is ${sets.at(-1)?.name}`
    : `no set ${wanted}, the newest is ${sets[0]?.name}`
  const near = isTime ? undefined : nearestSet(sets, wanted)
  throw new SnapError('E_NOTHING_MATCHED', `${source.url}: ${message}`, {
    hint: near ? `did you mean ${near}?` : '`snap list` shows the sets of a target',
  })
}

/** The longest list of names in a hint, in characters. */
const MAX_HINT = 200
/** So many characters at least must be right for a set to be meant: its day. */
const MIN_LIKE = 8

/** The set of that name, or else those whose names begin so. */
function namedSets(sets: readonly ListedSet[], wanted: string): readonly ListedSet[] {
  const exact = sets.filter(({ name }) => name === wanted)
  return exact.length > 0 ? exact : sets.filter(({ name }) => name.startsWith(wanted))
}

/** The set whose name has most of its first characters in common with what was given. */
function nearestSet(sets: readonly ListedSet[], wanted: string): string | undefined {
  const alike = (name: string) => {
    let count = 0
    while (count < wanted.length && name[count] === wanted[count]) count++
    return count
  }
  const [nearest] = sets.toSorted((a, b) => alike(b.name) - alike(a.name))
  return nearest && alike(nearest.name) >= MIN_LIKE ? nearest.name : undefined
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
  if (listing.sets.length === 0) throw await nothingToTake(listing, signal)
  const wanted = [wish, ...(wish.also ?? [])]
  let newestPart: string | undefined
  const seen: Names = new Map()
  for (const listed of candidates(listing, wish)) {
    const set = await readOrExplain(listing, listed, signal)
    noteNames(set, seen)
    const isNamed = typeof wish.set === 'string'
    const isIn = (each: Wanted) => holdsWhole(set, each) || (isNamed && holdsPart(set, each))
    if (wanted.every(isIn)) {
      await refuseHeadless(listing, wish, set.name, signal)
      return set
    }
    if (wanted.some((each) => holdsPart(set, each))) newestPart ??= set.name
  }
  throw nothingMatched(listing, wish, { newestPart, seen })
}

function nothingMatched(
  { source }: SetListing,
  { set, also = [], ...first }: SetWish,
  { newestPart, seen }: { readonly newestPart: string | undefined; readonly seen: Names },
): SnapError {
  const what = [first, ...also].map(describe).join(' and ')
  const where = typeof set === 'string' ? `set ${set}` : 'any set'
  const whole = newestPart === undefined ? '' : ' as a whole'
  return new SnapError('E_NOTHING_MATCHED', `${source.url}: ${what} is not in ${where}${whole}`, {
    hint:
      newestPart === undefined
        ? unknownName([first, ...also], seen)
        : `set ${newestPart} has a part of it (--set ${newestPart})`,
  })
}

/** The databases of sets, and the policies of each. */
type Names = Map<string, Set<string>>

function noteNames({ entries, missing }: BackupSet, names: Names): void {
  for (const { database, policy } of [...entries, ...missing]) {
    names.set(database, (names.get(database) ?? new Set()).add(policy))
  }
}

/** Returns what there is instead of the first name that no set has. */
function unknownName(wanted: readonly Wanted[], seen: Names): string | undefined {
  for (const { database, retentionPolicy } of wanted) {
    const policies = database === undefined ? undefined : seen.get(database)
    if (database !== undefined && policies === undefined) {
      return namesHint([...seen.keys()].sort(), database)
    }
    const there = policies ?? new Set([...seen.values()].flatMap((each) => [...each]))
    if (retentionPolicy !== undefined && !there.has(retentionPolicy)) {
      return namesHint([...there].sort(), retentionPolicy)
    }
  }
  return undefined
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
