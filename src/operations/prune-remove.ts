import { SnapError } from '../errors.ts'
import { catalogName, JOURNAL_NAME, manifestName, storedName } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import { type FileMarks, markedFiles, markFiles, uniteMarks } from './file-marks.ts'
import { mapParallel } from './parallel.ts'
import { writeJournal } from './prune-journal.ts'
import type { Survey, SurveyedSet } from './prune-survey.ts'

/** Files that are deleted at the same time. */
const JOBS = 8

/** A file that the store does not let be deleted. */
export interface Undeletable {
  readonly file: string
  readonly message: string
}

/** What is to be removed. */
export interface Removal {
  readonly removed: readonly SurveyedSet[]
  readonly kept: readonly SurveyedSet[]
  /** What sets name that have lost their manifest, or do not have it yet. */
  readonly headless: FileMarks
  /** Sets that a prune before this one began to remove. */
  readonly begun: ReadonlySet<string>
  /** What is left of them. */
  readonly remains: readonly string[]
}

/** What was removed, and what could not be. */
export interface Removed {
  readonly sets: readonly string[]
  readonly files: readonly string[]
  readonly failures: readonly Undeletable[]
}

/** Returns the files that only sets to be removed have. */
export function filesToRemove(
  { table }: Survey,
  { removed, kept, headless, remains }: Omit<Removal, 'begun'>,
): string[] {
  const marked = [...removed.map(({ files }) => files), markFiles(table, remains)]
  return markedFiles(
    table,
    uniteMarks(table, marked),
    uniteMarks(table, [...kept.map(({ files }) => files), headless]),
  )
}

/**
 * Removes sets so that whenever it is cut short every other set is whole, and none of these looks whole: they are noted in a
 * journal, then lose their manifests, newest first, since a set may need older ones; then their catalogs; then the files
 * that no other set has. Each step begins when the one before it is safe. The next prune finishes it by the journal.
 *
 * A set whose manifest cannot be deleted stays as it is, and so does all that it needs.
 * @throws SnapError what the store throws that might do better later
 */
export async function removeSets(
  store: Store,
  survey: Survey,
  removal: Removal,
  signal: AbortSignal,
): Promise<Removed> {
  const { removed, kept, begun } = removal
  if (removed.length === 0 && removal.remains.length === 0) {
    if (survey.listing.files.has(JOURNAL_NAME)) await store.delete(JOURNAL_NAME, signal)
    return { sets: [], files: [], failures: [] }
  }
  await writeJournal(store, [...begun, ...removed.map(({ name }) => name)], signal)
  const failures: Undeletable[] = []
  const attempt = async (file: string): Promise<boolean> => {
    const failure = await tryToDelete(store, file, signal)
    if (failure !== undefined) failures.push(failure)
    return failure === undefined
  }
  const { gone, stuck } = await removeManifests(removed, attempt)
  const left = filesToRemove(survey, { ...removal, removed: gone, kept: [...kept, ...stuck] })
  const manifests = new Set(gone.map(manifestOf))
  const catalogs = new Set(gone.map(({ name }) => catalogName(name)))
  const files = [...manifests]
  const remove = async (names: readonly string[]) => {
    const deleted = await mapParallel(names, { jobs: JOBS, signal }, attempt)
    files.push(...names.filter((_name, index) => deleted[index]))
  }
  await remove(left.filter((name) => catalogs.has(name)))
  await remove(left.filter((name) => !catalogs.has(name) && !manifests.has(name)))
  if (failures.length === 0) await store.delete(JOURNAL_NAME, signal)
  return { sets: gone.map(({ name }) => name), files, failures }
}

/** The stored manifest of a set. */
function manifestOf(set: SurveyedSet): string {
  return storedName(manifestName(set.name), set)
}

/** Deletes manifests, newest first. */
async function removeManifests(
  removed: readonly SurveyedSet[],
  attempt: (file: string) => Promise<boolean>,
) {
  const gone: SurveyedSet[] = []
  const stuck: SurveyedSet[] = []
  const needed = new Set<string>()
  for (const set of removed) {
    const isDeleted = !needed.has(set.name) && (await attempt(manifestOf(set)))
    if (isDeleted) {
      gone.push(set)
    } else {
      stuck.push(set)
      for (const name of set.needs) needed.add(name)
    }
  }
  return { gone, stuck }
}

async function tryToDelete(
  store: Store,
  file: string,
  signal: AbortSignal,
): Promise<Undeletable | undefined> {
  signal.throwIfAborted()
  try {
    await store.delete(file, signal)
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof SnapError) || error.retryable) throw error
    return { file, message: error.message }
  }
}
