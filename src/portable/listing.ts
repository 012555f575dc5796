import { PENDING_SUFFIX } from '../io/pending.ts'
import {
  catalogName,
  JOURNAL_NAME,
  MANIFEST_SUFFIX,
  openedName,
  parseFileName,
  parseSetName,
  sealedName,
} from './names.ts'
import type { FileListing, SetSource } from './source.ts'
import { listFiles } from './source.ts'

/** A set as its directory shows it, nothing read yet. */
export interface ListedSet {
  readonly name: string
  /** `snap` if a catalog stands beside the manifest, else `stock`. */
  readonly kind: 'snap' | 'stock'
  /** When it was begun, from its name; for a name that is no time, when its manifest was written. */
  readonly time: Date
  /** True if it is encrypted, and only what its clear catalog says can be read. */
  readonly sealed?: boolean | undefined
}

/** A place with the sets in it, newest first: in descending order of their names, as influxd takes them. */
export interface SetListing {
  readonly source: SetSource
  readonly files: FileListing
  readonly sets: readonly ListedSet[]
  /** Catalogs are not read, nor what only they can tell: for what is left of a set whose catalog is damaged. */
  readonly withoutCatalogs?: boolean | undefined
}

/** Lists the sets of a place. @throws SnapError `E_SOURCE` if it cannot be listed */
export async function listSets(source: SetSource, signal?: AbortSignal): Promise<SetListing> {
  const files = await listFiles(source, signal)
  const sets: ListedSet[] = []
  for (const { name: storedName, modifiedAt } of files.values()) {
    const fileName = openedName(storedName)
    if (!fileName.endsWith(MANIFEST_SUFFIX)) continue
    // Of a set that is there twice the encrypted one counts.
    const sealed = fileName !== storedName
    if (!sealed && files.has(sealedName(fileName))) continue
    const name = fileName.slice(0, -MANIFEST_SUFFIX.length)
    const kind = sealed || files.has(catalogName(name)) ? 'snap' : 'stock'
    const time = parseSetName(name) ?? new Date(modifiedAt)
    sets.push({ name, kind, time, ...(sealed && { sealed }) })
  }
  sets.sort((a, b) => (a.name < b.name ? 1 : -1))
  return { source, files, sets }
}

/**
 * Returns the names of the sets of ours that were finished and have lost their manifest, which makes them sets: a catalog is
 * there, and neither is a run at work on them nor was a prune.
 */
export function listHeadless({ files, sets }: SetListing): string[] {
  if (files.has(JOURNAL_NAME)) return []
  const whole = new Set(sets.map(({ name }) => name))
  return [...files.keys()]
    .map(parseFileName)
    .flatMap((parsed) => (parsed?.kind === 'catalog' ? [parsed.set] : []))
    .filter((set) => !whole.has(set) && !files.has(set + PENDING_SUFFIX))
}
