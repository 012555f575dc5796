import * as v from 'valibot'
import { decodeJson } from '../portable/json.ts'
import type { SetListing } from '../portable/listing.ts'
import { JOURNAL_NAME } from '../portable/names.ts'
import { decodeStored, readSmallFile } from '../portable/source.ts'
import type { Store } from '../storage/index.ts'

const SCHEMA = 'snap/prune-journal/1'

const journalSchema = v.object({ schema: v.literal(SCHEMA), sets: v.array(v.string()) })

/** Notes the sets that are being removed. @throws SnapError `E_DESTINATION` */
export async function writeJournal(
  store: Store,
  sets: Iterable<string>,
  signal?: AbortSignal,
): Promise<void> {
  await store.write(JOURNAL_NAME, JSON.stringify({ schema: SCHEMA, sets: [...sets] }), signal)
}

/**
 * Returns the sets of a target that a prune began to remove and that are no sets any more: what is left of them is garbage,
 * but for what other sets share.
 * @throws SnapError `E_INTEGRITY` if the journal cannot be read
 */
export async function readJournal(
  { source, files, sets: listed }: SetListing,
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (!files.has(JOURNAL_NAME)) return new Set()
  const { bytes } = await readSmallFile(source, JOURNAL_NAME, signal)
  const { sets } = decodeStored(source, JOURNAL_NAME, (what) =>
    decodeJson(bytes, journalSchema, what),
  )
  const there = new Set(listed.map(({ name }) => name))
  return new Set(sets.filter((set) => !there.has(set)))
}
