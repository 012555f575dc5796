import { hostname } from 'node:os'
import * as v from 'valibot'
import { listSets } from '../portable/listing.ts'
import { pinName } from '../portable/names.ts'
import { candidates, noBackup } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'

const SCHEMA = 'snap/pin/1'
const pinSchema = v.object({
  schema: v.literal(SCHEMA),
  /** When it was made, RFC 3339. */
  pinned: v.pipe(v.string(), v.isoTimestamp()),
  host: v.string(),
  reason: v.optional(v.string()),
})

/** What a pin says. A file of its name pins a set whatever it holds. */
export type Pin = Omit<v.InferOutput<typeof pinSchema>, 'schema'>

/** The longest reason, in characters: a pin is read whole. */
const MAX_REASON = 1000

/** Decodes a pin; undefined if it is nothing of the kind, which does not unpin a set. */
export function decodePin(text: string): Pin | undefined {
  try {
    return v.parse(pinSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Which sets are meant. */
export interface PinOptions {
  readonly store: Store
  /** Each the name of a set, a prefix that only one has, or a time. */
  readonly sets: readonly (string | Date | undefined)[]
  readonly signal: AbortSignal
}

/**
 * Pins sets, so that prune keeps them. One that is pinned gets the new reason.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED` before anything is done, `E_DESTINATION`
 */
export async function pin(
  options: PinOptions & { readonly reason?: string | undefined },
): Promise<string[]> {
  const { store, signal, reason } = options
  const names = await meantSets(options)
  const pinned = new Date().toISOString()
  const said = reason === undefined ? {} : { reason: reason.slice(0, MAX_REASON) }
  const text = `${JSON.stringify({ schema: SCHEMA, pinned, host: hostname(), ...said })}\n`
  for (const name of names) await store.write(pinName(name), text, signal)
  return names
}

/** Takes pins away; a set that has none is as it should be. Throws as {@link pin}. */
export async function unpin(options: PinOptions): Promise<string[]> {
  const names = await meantSets(options)
  for (const name of names) await options.store.delete(pinName(name), options.signal)
  return names
}

async function meantSets({ store, sets, signal }: PinOptions): Promise<string[]> {
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) throw noBackup(listing)
  const found = sets.flatMap((set) => candidates(listing, { set }).slice(0, 1))
  return [...new Set(found.map(({ name }) => name))]
}
