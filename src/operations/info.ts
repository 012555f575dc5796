import { listSets } from '../portable/listing.ts'
import { pinName } from '../portable/names.ts'
import { candidates, noBackup } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'
import { type SetSummary, summarizeSet } from './list.ts'
import { decodePin, type Pin } from './pin.ts'
import { readSmall } from './read-small.ts'
import type { ContainedFile, ContainedShard, SetContents, StockArchives } from './set-contents.ts'

/** One set in detail. */
export interface SetInfo {
  readonly summary: SetSummary
  /** Why it is pinned, if it is and says so. */
  readonly pin: Pin | undefined
  readonly catalog: SetContents['catalog']
  readonly shards: readonly ContainedShard[]
  readonly files: readonly (ContainedFile & { readonly isThere: boolean })[]
}

/**
 * Describes one set: the newest, or the one that is meant. No key is needed.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`; what is damaged is in the result
 */
export async function info(
  store: Store,
  { set, signal }: { readonly set: string | Date | undefined; readonly signal: AbortSignal },
): Promise<SetInfo> {
  const listing = await listSets(store, signal)
  const [meant] = candidates(listing, { set })
  if (meant === undefined) throw noBackup(listing)
  const stock: StockArchives = new Map()
  const older = meant.kind === 'stock' ? listing.sets.filter(({ name }) => name < meant.name) : []
  for (const { kind, ...other } of older.reverse()) {
    if (kind === 'stock') await summarizeSet(listing, { kind, ...other }, { stock, signal })
  }
  const { summary, contents } = await summarizeSet(listing, meant, { stock, signal })
  const missing = new Set(contents?.missing)
  return {
    summary,
    pin: summary.pinned
      ? decodePin(await readSmall(store, pinName(meant.name), { signal }))
      : undefined,
    catalog: contents?.catalog,
    shards: contents?.shards ?? [],
    files: (contents?.files ?? []).map((file) => ({ ...file, isThere: !missing.has(file.name) })),
  }
}
