import { tmpdir } from 'node:os'
import { EXIT_CODES, SnapError } from '../errors.ts'
import { expandNames } from '../meta/index.ts'
import type { SetListing } from '../portable/listing.ts'
import {
  JOURNAL_NAME,
  manifestName,
  parseFileName,
  pinName,
  storedName,
} from '../portable/names.ts'
import { listUnfinished } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { namesHint } from '../suggest.ts'
import { markedFiles, markFiles, uniteMarks } from './file-marks.ts'
import { followChains } from './prune-chains.ts'
import { readJournal } from './prune-journal.ts'
import { type KeepReason, type PruneDecision, type PruneRules, planPrune } from './prune-plan.ts'
import {
  filesToRemove,
  type Removal,
  type Removed,
  removeSets,
  type Undeletable,
} from './prune-remove.ts'
import { markHeadless, type Survey, surveyTarget } from './prune-survey.ts'
import { hasRule } from './retention.ts'

/** What to prune, and how. */
export interface PruneOptions extends PruneRules {
  readonly store: Store
  /** Delete; otherwise it is only said what would be. */
  readonly confirm: boolean
  readonly signal: AbortSignal
}

/** A set, and what is or would be done with it. */
export interface PrunedSet {
  readonly set: string
  readonly kind: 'snap' | 'stock'
  readonly time: Date
  readonly databases: readonly string[]
  readonly action: 'keep' | 'remove'
  /** Why it is kept; none if it goes. */
  readonly reasons: readonly KeepReason[]
}

/** Some files, and their bytes as stored. */
export interface FileTotal {
  readonly files: number
  readonly bytes: number
}

/** What was done, or would be. */
export interface Pruned {
  /** Newest first. */
  readonly sets: readonly PrunedSet[]
  /** What is or would be freed, the remains of prunes that were cut short included. */
  readonly freed: FileTotal
  /** Sets that an earlier prune began to remove, and that this one finishes. */
  readonly finished: readonly string[]
  /** Sets that are not finished; they are left alone. */
  readonly unfinished: readonly string[]
  /** Files of sets that have no manifest, and nobody knows why; they are left alone. */
  readonly strays: FileTotal
  /** What could not be deleted. */
  readonly failures: readonly Undeletable[]
}

/**
 * Removes the sets that no rule keeps, with the files that no other set has.
 * @throws SnapError `E_USAGE` without a rule, `E_NO_BACKUP`, `E_NOTHING_MATCHED` if no set holds one of the databases,
 * `E_PRUNE_REFUSED` if something cannot be read or a set that is kept lacks a file; nothing is deleted then
 */
export async function prune(options: PruneOptions): Promise<Pruned> {
  const { store, signal, confirm } = options
  if (!hasRule(options.keep)) throw noRule()
  const found = await surveyTarget(store, signal)
  const survey = options.includeStock
    ? await followChains(store, found, { tempDir: tmpdir(), signal })
    : found
  const databases = namedIn(survey, options.databases)
  const decisions = await decide(survey, { ...options, databases })
  const removal = await removalOf(survey, decisions, signal)
  const done = confirm
    ? await removeSets(store, survey, removal, signal)
    : plannedRemoval(survey, removal)
  return {
    sets: decisions.map((decision) => summarize(decision, new Set(done.sets))),
    freed: totalOf(survey, done.files),
    finished: finishedOf(removal),
    unfinished: listUnfinished(survey.listing.files).map(({ set }) => set),
    strays: totalOf(survey, straysOf(survey, removal)),
    failures: done.failures,
  }
}

function finishedOf({ remains }: Removal): string[] {
  return [...new Set(remains.flatMap((name) => parseFileName(name)?.set ?? []))]
}

function plannedRemoval(survey: Survey, removal: Removal): Removed {
  const sets = removal.removed.map(({ name }) => name)
  return { sets, files: filesToRemove(survey, removal), failures: [] }
}

function noRule(): SnapError {
  return new SnapError('E_USAGE', 'no rule says what to keep', {
    hint: 'give --keep-last, --keep-hourly, --keep-daily, --keep-weekly, --keep-monthly, --keep-yearly or --keep-within',
  })
}

/** Returns the databases that names and patterns mean. */
function namedIn({ listing, sets }: Survey, patterns: readonly string[]): string[] {
  const held = [...new Set(sets.flatMap((set) => set.databases))].sort()
  const unknown = patterns.find((pattern) => expandNames([pattern], held).length === 0)
  if (unknown === undefined) return expandNames(patterns, held)
  throw new SnapError('E_NOTHING_MATCHED', `${listing.source.url}: no set holds ${unknown}`, {
    hint: namesHint(held, unknown),
  })
}

/** Decides twice where the store has locks of its own: which sets it holds is asked only of those that would go. */
async function decide(survey: Survey, options: PruneOptions): Promise<PruneDecision[]> {
  const { listing, sets } = survey
  const pinned = new Set(
    sets.flatMap(({ name }) => (listing.files.has(pinName(name)) ? [name] : [])),
  )
  const locked = new Map<string, Date>()
  const decisions = planPrune(sets, options, { pinned, locked })
  for (const { set, reasons } of decisions) {
    if (reasons.length > 0) continue
    const found = await options.store.stat(storedName(manifestName(set.name), set), options.signal)
    const until = found?.lockedUntil
    if (until !== undefined && until > options.now) locked.set(set.name, until)
  }
  return locked.size === 0 ? decisions : planPrune(sets, options, { pinned, locked })
}

async function removalOf(
  survey: Survey,
  decisions: readonly PruneDecision[],
  signal: AbortSignal,
): Promise<Removal> {
  const { listing } = survey
  const isKept = ({ reasons }: PruneDecision) => reasons.length > 0
  const begun = await journalOrRefuse(listing, signal)
  const busy = new Set(listUnfinished(listing.files).map(({ set }) => set))
  return {
    removed: decisions.filter((decision) => !isKept(decision)).map(({ set }) => set),
    kept: decisions.filter(isKept).map(({ set }) => set),
    headless: await markHeadless(survey, begun, signal),
    begun,
    remains: [...listing.files.keys()].filter((name) => {
      const set = parseFileName(name)?.set
      return set !== undefined && begun.has(set) && !busy.has(set)
    }),
  }
}

async function journalOrRefuse(
  listing: SetListing,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  try {
    return await readJournal(listing, signal)
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    throw new SnapError('E_PRUNE_REFUSED', `nothing was deleted: ${error.message}`, {
      cause: error,
      hint: `it says what an earlier prune was removing; remove ${JOURNAL_NAME}, and \`snap verify\` names what that prune left`,
    })
  }
}

function summarize(
  { set: { name, kind, time, databases }, reasons }: PruneDecision,
  removed: ReadonlySet<string>,
): PrunedSet {
  const action = removed.has(name) ? 'remove' : 'keep'
  return { set: name, kind, time, databases, action, reasons }
}

/** Files of sets without a manifest that no set has, no run is writing and no prune began to remove. */
function straysOf({ listing, table, sets }: Survey, { remains }: Removal): string[] {
  const busy = new Set(listUnfinished(listing.files).map(({ set }) => set))
  const manifests = new Set(sets.map(({ name }) => name))
  const candidates = [...listing.files.keys()].filter((name) => {
    const set = parseFileName(name)?.set
    return set !== undefined && !manifests.has(set) && !busy.has(set)
  })
  const known = uniteMarks(table, [...sets.map(({ files }) => files), markFiles(table, remains)])
  return markedFiles(table, markFiles(table, candidates), known)
}

function totalOf({ listing }: Survey, names: readonly string[]): FileTotal {
  const bytes = names.reduce((sum, name) => sum + (listing.files.get(name)?.size ?? 0), 0)
  return { files: names.length, bytes }
}
