import { SnapError } from '../errors.ts'
import { noBackup } from '../portable/select-set.ts'
import { listSets, readClearSet, readSet } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'

/** One set of a target. */
export interface ListedSetSummary {
  readonly set: string
  readonly kind: 'snap' | 'stock'
  /** When it was begun, RFC 3339. */
  readonly time: string
  readonly databases: readonly string[]
  readonly shards: number
  /** Bytes of its tars before compression. */
  readonly bytes: number
  /** True if it is encrypted; then this is what its clear catalog says. */
  readonly encrypted?: boolean | undefined
  /** What is wrong with it, if it cannot be read or lacks an archive. */
  readonly problem?: string | undefined
}

/**
 * Lists the sets of a target, newest first, those that cannot be read too.
 * @throws SnapError `E_NO_BACKUP` if there is none
 */
export async function list(store: Store, signal: AbortSignal): Promise<ListedSetSummary[]> {
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) throw noBackup(listing)
  const summaries: ListedSetSummary[] = []
  for (const set of listing.sets) {
    const { name, kind, time, sealed } = set
    const encrypted = sealed && { encrypted: true }
    const head = { set: name, kind, time: time.toISOString(), ...encrypted }
    try {
      const read = sealed ? readClearSet : readSet
      const { entries, missing } = await read(listing, set, signal)
      summaries.push({
        ...head,
        databases: [...new Set(entries.map(({ database }) => database))],
        shards: entries.length,
        bytes: entries.reduce((sum, { size }) => sum + size, 0),
        ...(missing.length > 0 && {
          problem: missingText(missing.map(({ fileName }) => fileName)),
        }),
      })
    } catch (error) {
      if (!(error instanceof SnapError)) throw error
      summaries.push({ ...head, databases: [], shards: 0, bytes: 0, problem: error.message })
    }
  }
  return summaries
}

function missingText([first, ...others]: readonly string[]): string {
  return `${first} is missing${others.length > 0 ? `, and ${others.length} more` : ''}`
}
