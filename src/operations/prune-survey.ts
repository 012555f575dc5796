import { EXIT_CODES, SnapError } from '../errors.ts'
import { listShards } from '../meta/index.ts'
import type { Catalog, SetSelection } from '../portable/catalog.ts'
import { type FollowedInheritance, followSet, type Holding } from '../portable/holdings.ts'
import { type ListedSet, listSets, type SetListing } from '../portable/listing.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import {
  catalogName,
  checksName,
  isSealedName,
  manifestName,
  parseFileName,
  sidecarName,
  storedName,
} from '../portable/names.ts'
import { noBackup } from '../portable/select-set.ts'
import { readHead, readMeta, readOwnCatalog, type SetHead } from '../portable/set-files.ts'
import type { Store } from '../storage/index.ts'
import { type FileMarks, type FileTable, fileTable, markFiles, uniteMarks } from './file-marks.ts'

/** What a set is worth, best first: `incomplete` ones say themselves that they lack data. */
export type SetWorth = 'whole' | 'unconfirmed' | 'incomplete'

/** A set as prune sees it. */
export interface SurveyedSet extends ListedSet {
  /** The databases that it has archives of. */
  readonly databases: readonly string[]
  /** What it was asked to hold; sets of influxd do not say. */
  readonly selection: SetSelection | undefined
  readonly worth: SetWorth
  /** What it lacks, if it cannot be restored as it should be. */
  readonly problem: string | undefined
  /** Older sets without which it cannot be restored; they may need others. */
  readonly needs: readonly string[]
  /** The files that it has or shares. */
  readonly files: FileMarks
}

/** All sets of a target, none of which is unreadable. */
export interface Survey {
  readonly listing: SetListing
  readonly table: FileTable
  /** Newest first. */
  readonly sets: readonly SurveyedSet[]
}

/** Where the archives of influxd's sets are, by shard, up to the set that was read last. */
type StockHoldings = Map<bigint, { readonly entry: ManifestEntry; readonly set: string }>

/** What was seen of a place up to the set that was looked at last. */
export interface Followed {
  readonly listing: SetListing
  readonly table: FileTable
  readonly newest: Map<bigint, Holding>
  readonly stock: StockHoldings
}

/**
 * Reads the manifest and the catalog of every set of a target once, one set at a time; of sets of influxd the metastore
 * too. Of each set only a few words and a bit for every file of the target are kept.
 * @throws SnapError `E_NO_BACKUP`; `E_PRUNE_REFUSED` if a manifest or catalog, or a metastore of influxd, cannot be read
 */
export async function surveyTarget(store: Store, signal: AbortSignal): Promise<Survey> {
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) throw noBackup(listing)
  const followed = newSurvey(listing)
  const sets: SurveyedSet[] = []
  for (const set of listing.sets.toReversed()) {
    signal.throwIfAborted()
    sets.push(await surveyOrRefuse(followed, set, signal))
  }
  return { listing, table: followed.table, sets: sets.reverse() }
}

/** Begins to look at the sets of a place. */
export function newSurvey(listing: SetListing): Followed {
  return { listing, table: fileTable(listing.files.keys()), newest: new Map(), stock: new Map() }
}

/**
 * Looks at the next set; they come oldest first.
 * @throws SnapError `E_INTEGRITY` if its manifest or catalog cannot be read
 */
export async function surveySet(
  followed: Followed,
  set: ListedSet,
  signal: AbortSignal,
): Promise<SurveyedSet> {
  const head = await readHead(followed.listing, set, signal)
  if (head.catalog !== undefined) return surveySnapSet(followed, head, head.catalog)
  return await surveyStockSet(followed, head, signal)
}

/**
 * Marks what the catalogs of sets name that have no manifest: it may come, where a copy is under way, or come back.
 * @param given sets that a prune began to remove
 * @throws SnapError `E_PRUNE_REFUSED` if a catalog cannot be read
 */
export async function markHeadless(
  { listing, table }: Pick<Survey, 'listing' | 'table'>,
  given: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<FileMarks> {
  const { source, files } = listing
  const whole = new Set(listing.sets.map(({ name }) => name))
  const marks: FileMarks[] = []
  for (const name of files.keys()) {
    const { kind, set } = parseFileName(name) ?? {}
    if (kind !== 'catalog' || set === undefined || isSealedName(name)) continue
    if (whole.has(set) || given.has(set)) continue
    const read = async () => await readOwnCatalog(source, { set, name }, signal)
    const catalog = await orRefuse(read, { set, giveUp: name })
    marks.push(
      markFiles(
        table,
        catalog.files.map((file) => file.name),
      ),
    )
  }
  return uniteMarks(table, marks)
}

async function surveyOrRefuse(
  followed: Followed,
  set: ListedSet,
  signal: AbortSignal,
): Promise<SurveyedSet> {
  const { name } = set
  const giveUp = `${storedName(manifestName(name), set)} and ${catalogName(name)}`
  return await orRefuse(() => surveySet(followed, set, signal), { set: name, giveUp })
}

/**
 * Reads something that tells what a set needs.
 * @param giveUp the files without which there is no such set
 * @throws SnapError `E_PRUNE_REFUSED` if it is damaged
 */
export async function orRefuse<T>(
  read: () => Promise<T>,
  { set, giveUp }: { readonly set: string; readonly giveUp: string },
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    throw new SnapError('E_PRUNE_REFUSED', `nothing was deleted: ${error.message}`, {
      cause: error,
      hint: `what set ${set} needs cannot be known; get the file back from a copy, or give the set up: remove ${giveUp}`,
    })
  }
}

function surveySnapSet(followed: Followed, head: SetHead, catalog: Catalog): SurveyedSet {
  const { listing, table, newest } = followed
  const { set, manifest } = head
  const inheritance = followSet(newest, head, listing)
  const { entries = [], unheld = [], needs = [] }: Partial<FollowedInheritance> = inheritance ?? {}
  const archives = [...manifest.files, ...entries]
  const isLost = unheld.length > 0 || catalog.skipped.some(({ lost }) => lost)
  return {
    ...{ ...set, kind: 'snap', selection: catalog.selection, needs },
    databases: databasesOf(archives),
    worth: isLost ? 'incomplete' : catalog.completeness === 'confirmed' ? 'whole' : 'unconfirmed',
    problem: missingOf(followed, head, catalog),
    files: markFiles(table, [
      ...catalog.files.map(({ name }) => name),
      ...filesOf(head),
      ...archives.flatMap(({ fileName }) => withSidecar(fileName)),
    ]),
  }
}

/** What influxd would restore up to a set: what an older one holds of a shard that it has not, it needs. */
async function surveyStockSet(
  followed: Followed,
  head: SetHead,
  signal: AbortSignal,
): Promise<SurveyedSet> {
  const { listing, table, newest, stock } = followed
  const { set, manifest } = head
  const { meta } = await readMeta(listing.source, manifest, signal)
  followSet(newest, head, listing)
  const own = new Set<bigint>()
  for (const entry of manifest.files) {
    if (stock.has(entry.shardId) && !listing.files.has(entry.fileName)) continue
    stock.set(entry.shardId, { entry, set: set.name })
    own.add(entry.shardId)
  }
  const ids = new Set([...own, ...listShards(meta).map(({ shard }) => shard.id)])
  const chosen = [...ids].flatMap((id) => stock.get(id) ?? [])
  const missing = chosen.find(({ entry }) => !listing.files.has(entry.fileName))
  return {
    ...{ ...set, kind: 'stock', selection: undefined, worth: 'unconfirmed' },
    databases: databasesOf(chosen.map(({ entry }) => entry)),
    problem: missing && `${missing.entry.fileName} is missing`,
    needs: [...new Set(chosen.map((held) => held.set))].filter((name) => name !== set.name),
    files: markFiles(table, [
      ...filesOf(head),
      ...manifest.files.map(({ fileName }) => fileName),
      ...chosen.map(({ entry }) => entry.fileName),
    ]),
  }
}

function filesOf({ set, manifest }: SetHead): string[] {
  const { name } = set
  return [
    storedName(manifestName(name), set),
    manifest.catalog ?? catalogName(name),
    manifest.meta.fileName,
    checksName(name),
  ]
}

function withSidecar(archive: string): string[] {
  const parsed = parseFileName(archive)
  if (parsed?.kind !== 'archive') return [archive]
  const sidecar = sidecarName(parsed.set, parsed.shardId)
  return [archive, storedName(sidecar, { sealed: isSealedName(archive) })]
}

/** Says which file of a set is not there, or not as long as it was. */
function missingOf(
  { listing: { files } }: Followed,
  { manifest }: SetHead,
  catalog: Catalog,
): string | undefined {
  for (const { name, size } of catalog.files) {
    const found = files.get(name)
    if (found === undefined) return `${name} is missing`
    if (found.size !== size) return `${name} has ${found.size} bytes, expected ${size}`
  }
  const gone = manifest.files.find(({ fileName }) => !files.has(fileName))
  return gone && `${gone.fileName} is missing`
}

function databasesOf(entries: readonly ManifestEntry[]): string[] {
  return [...new Set(entries.map(({ database }) => database))]
}
