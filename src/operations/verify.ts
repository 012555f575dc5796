import type { Identities } from '../age/index.ts'
import type { SnapError } from '../errors.ts'
import { newestMeta, readLegacy } from '../portable/legacy.ts'
import { type ListedSet, listSets, type SetListing } from '../portable/listing.ts'
import { isBeside, manifestName, parseFileName } from '../portable/names.ts'
import { candidates, noBackup } from '../portable/select-set.ts'
import { readSet } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { OpenedStore } from './opened-store.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import { legacyRestorable } from './restorable.ts'
import { findChain } from './stock-chain.ts'
import { bytesToRead, type VerifiedArchive, verifyArchive } from './verify-archive.ts'
import type { ArchiveTask, FoundSet, VerifyContext } from './verify-context.ts'
import {
  Findings,
  shardsById,
  timesOf,
  type VerifyGap,
  type VerifyProblem,
} from './verify-findings.ts'
import { chooseArchives, distinctArchives, findStrays } from './verify-plan.ts'
import { ownersOf, verifyClosed, whyClosed } from './verify-sealed.ts'
import { verifySet } from './verify-set.ts'

/** The word for the newest set. */
const LATEST = 'latest'

/** What to verify, and how. */
export interface VerifyOptions {
  readonly store: Store
  /** What encrypted sets are opened with. Of those that it does not open only the hashes of what is stored are compared. */
  readonly identities?: Identities | undefined
  /** One set by its name, the newest begun at or before a time, or `latest`. Default: all that is there. */
  readonly set?: string | Date | undefined
  /** Decode every block, and compare the points with what the sidecars say of them. */
  readonly deep: boolean
  /** Only so many of 100 archives, chosen at random: above 0, at most 100. */
  readonly subset?: number | undefined
  /** What chance goes by: the same seed gives the same choice and order. */
  readonly seed: number
  /** Milliseconds after which no further archive is begun; they come in a random order then. */
  readonly maxDuration?: number | undefined
  /** Archives at a time. */
  readonly jobs: number
  readonly tempDir: string
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** What was found of one backup. */
export interface VerifiedSet {
  /** Undefined for a legacy directory. */
  readonly set: string | undefined
  readonly kind: 'snap' | 'stock' | 'legacy'
  /** When it was begun, RFC 3339; undefined for a legacy directory. */
  readonly time: string | undefined
  /** True if it is encrypted and no key opens it: only the hashes of what is stored were compared. */
  readonly onlyHashes?: boolean | undefined
  /** Archives that it lists; undefined if that cannot be read. */
  readonly archives: number | undefined
  readonly problems: number
}

/** What was found in all. */
export interface Verified {
  /** Newest first. */
  readonly sets: readonly VerifiedSet[]
  /** Each counted once, however many sets have it. */
  readonly archives: {
    readonly total: number
    readonly verified: number
    /** Names of those that were to be verified and were not begun in time. */
    readonly left: readonly string[]
  }
  /** True if every archive of the sets was verified. */
  readonly complete: boolean
  /** Files in the archives, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Values that were decoded; undefined unless it was deep. */
  readonly points: number | undefined
  readonly problems: readonly VerifyProblem[]
  /** Live shards that a set does not have. */
  readonly gaps: readonly VerifyGap[]
  /** Sets that have begun and are not finished, or never will be. */
  readonly unfinished: readonly string[]
  /** Files of legacy directories that are not restored, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[]
}

/**
 * Verifies backups: manifests, metastores, catalogs and sidecars against each other and by their hashes, and every archive
 * read to its end once, however many sets share it.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED` if there is no such set, `E_KEY` if none of the identities opens any of
 * the encrypted sets, or if one is to be verified deep and none is given; damage is in the result
 */
export async function verify(options: VerifyOptions): Promise<Verified> {
  const { deep, set: wanted, signal } = options
  const store = new OpenedStore(options.store, options.identities)
  const deadline = performance.now() + (options.maxDuration ?? Number.POSITIVE_INFINITY)
  const listing = await listSets(store, signal)
  const findings = new Findings()
  const context = { store, opened: store, listing, findings, sound: new Map(), signal }
  const { found, legacy, unfinished } = await findBackups({ ...context, options }, wanted)
  const own = found.flatMap(({ archives }) => archives ?? [])
  const tasks = distinctArchives([...own, ...(legacy?.tasks ?? [])])
  const { read, left } = await verifyArchives(tasks, { ...options, store, findings, deadline })
  const total = new Set([...tasks.map(({ file }) => file), ...unread(context, found)]).size
  const { problems, gaps } = findings
  return {
    sets: [
      ...found.map((set) => summarize(set, problems)),
      ...(legacy ? [summarizeLegacy(legacy, problems)] : []),
    ],
    archives: { total, verified: read.length, left },
    complete: read.length === total,
    files: sum(read.map(({ files }) => files)),
    bytes: sum(read.map(({ bytes }) => bytes)),
    points: deep ? sum(read.map(({ points = 0 }) => points)) : undefined,
    ...{ problems, gaps, unfinished, leftOut: legacy?.leftOut ?? [] },
  }
}

interface FoundBackups {
  readonly found: readonly FoundSet[]
  readonly legacy?: FoundLegacy | undefined
  readonly unfinished: readonly string[]
}

/** What is looked for. */
interface Search extends VerifyContext {
  readonly options: Pick<VerifyOptions, 'deep' | 'identities' | 'tempDir'>
}

/** Finds what is there and verifies its small files. */
async function findBackups(context: Search, wanted: VerifyOptions['set']): Promise<FoundBackups> {
  const { listing, findings } = context
  if (wanted === undefined) {
    const found = await verifySets(context, listing.sets)
    const legacy = await findLegacy(context)
    const unfinished = await findStrays(context, found)
    const isNothing = found.length === 0 && legacy === undefined
    if (isNothing && findings.problems.length === 0) throw noBackup(listing)
    return { found, legacy, unfinished }
  }
  if (typeof wanted === 'string' && isHeadless(listing, wanted)) {
    return { found: [], unfinished: await findStrays(context, [], wanted) }
  }
  if (listing.sets.length === 0) throw noBackup(listing)
  return { found: await verifySets(context, await withOwners(context, wanted)), unfinished: [] }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** True if there are files of a set and no manifest. */
function isHeadless({ sets, files }: SetListing, wanted: string): boolean {
  if (sets.some(({ name }) => name === wanted)) return false
  return [...files.keys()].some((name) => {
    const parsed = parseFileName(name)
    return parsed?.set === wanted && !isBeside(parsed)
  })
}

async function verifySets(context: Search, sets: readonly ListedSet[]): Promise<FoundSet[]> {
  const { deep, identities } = context.options
  const found: FoundSet[] = []
  let closed: SnapError | undefined
  let isOneOpen = false
  for (const listed of sets) {
    const why = await whyClosed(context, listed)
    if (why !== undefined && deep && identities === undefined) throw why
    closed ??= why
    isOneOpen ||= why === undefined && context.opened.isSealed(manifestName(listed.name))
    found.push(await (why ? verifyClosed : verifySet)(context, listed))
  }
  // A key that opens nothing is a mistake, not a key for another set.
  if (closed !== undefined && identities !== undefined && !isOneOpen) throw closed
  return found
}

/** Returns one set, and the older ones whose archives a restore of it would take. */
async function withOwners(context: Search, wanted: string | Date): Promise<readonly ListedSet[]> {
  const { listing, findings, signal } = context
  const [chosen] = candidates(listing, { set: wanted === LATEST ? undefined : wanted })
  if (chosen === undefined) return []
  const { name } = chosen
  const isClosed = (await whyClosed(context, chosen)) !== undefined
  const owners = await findings.collect({ sets: [name], file: manifestName(name) }, async () => {
    if (isClosed) return await ownersOf(context, chosen)
    const set = await readSet(listing, chosen, signal)
    const { tempDir } = context.options
    const chain = await findChain(context.store, set, { isWanted: () => true, tempDir, signal })
    const parts = [...chain.values()].flat().map(({ name }) => name)
    const files = [...set.entries.map(({ fileName }) => fileName), ...parts]
    return new Set(files.map((name) => parseFileName(name)?.set))
  })
  return listing.sets.filter((listed) => listed === chosen || owners?.has(listed.name))
}

interface FoundLegacy {
  readonly tasks: readonly ArchiveTask[] | undefined
  readonly leftOut: Verified['leftOut']
}

/** Lists the files of a legacy directory, if it is one. */
async function findLegacy(context: VerifyContext): Promise<FoundLegacy | undefined> {
  const { store, listing, findings, signal } = context
  const metaFile = newestMeta(listing.files)
  if (metaFile === undefined) return undefined
  const read = await findings.collect({ sets: [], file: metaFile.name }, () =>
    readLegacy(store, listing.files, signal),
  )
  if (read === undefined) return { tasks: undefined, leftOut: [] }
  const { shards, leftOut, data } = legacyRestorable(store, read)
  const known = shardsById(data)
  const tasks = shards.flatMap(({ parts, ...shard }) =>
    parts.map((part) => ({
      ...{ sets: [], file: part.name, shard, times: timesOf(known.get(shard.shardId)), part },
    })),
  )
  return { tasks, leftOut }
}

function summarize(
  { set, kind, time, archives, onlyHashes }: FoundSet,
  problems: readonly VerifyProblem[],
): VerifiedSet {
  const count = problems.filter(({ sets }) => sets.includes(set)).length
  const hashes = onlyHashes && { onlyHashes }
  return { set, kind, time, ...hashes, archives: archives?.length, problems: count }
}

function summarizeLegacy({ tasks }: FoundLegacy, problems: readonly VerifyProblem[]): VerifiedSet {
  const count = problems.filter(({ sets }) => sets.length === 0).length
  const archives = tasks?.length
  return { set: undefined, kind: 'legacy', time: undefined, archives, problems: count }
}

/** Archives that by their names are of sets that cannot be read, or that have no manifest. */
function unread({ listing }: VerifyContext, found: readonly FoundSet[]): string[] {
  const unreadable = new Set(found.flatMap(({ set, archives }) => (archives ? [] : [set])))
  return [...listing.files.keys()].filter((name) => {
    const parsed = parseFileName(name)
    return parsed?.kind === 'archive' && unreadable.has(parsed.set)
  })
}

interface ReadArchives {
  readonly read: readonly VerifiedArchive[]
  readonly left: readonly string[]
}

/** Verifies archives, several at a time, those that are chosen and as long as there is time. */
async function verifyArchives(
  tasks: readonly ArchiveTask[],
  options: VerifyOptions & { readonly findings: Findings; readonly deadline: number },
): Promise<ReadArchives> {
  const { jobs, signal, subset, seed, maxDuration, deadline, progress = noProgress } = options
  const isRandom = subset !== undefined || maxDuration !== undefined
  const chosen = isRandom ? chooseArchives(tasks, { percent: subset ?? 100, seed }) : tasks
  const sizes = chosen.map(bytesToRead)
  const bytes = sizes.every((size) => size !== undefined)
    ? sizes.reduce((sum, size) => sum + size, 0)
    : undefined
  progress({ type: 'plan', task: 'verify', shards: chosen.length, bytes })
  const left: string[] = []
  const read = await mapParallel(chosen, { jobs, signal }, async (task, stop) => {
    if (performance.now() >= deadline) {
      left.push(task.file)
      return []
    }
    const { shard } = task
    const started = performance.now()
    progress({ type: 'shardStart', shard })
    let bytes = 0
    const onBytes = (read: number) => {
      bytes = read
      progress({ type: 'shardProgress', shard, bytes })
    }
    const archive = await verifyArchive(task, { ...options, signal: stop, onBytes })
    const { points } = archive
    const durationMs = performance.now() - started
    if (options.findings.has(task.file)) {
      progress({ type: 'shardSkipped', shard, reason: 'damaged' })
    } else progress({ type: 'shardDone', shard, bytes, points, durationMs })
    return [archive]
  })
  return { read: read.flat(), left }
}
