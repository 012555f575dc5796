import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import { decodeJson, natural } from './json.ts'
import type { SetListing } from './listing.ts'
import { checksName } from './names.ts'
import { checkSeal, sealJson } from './seal.ts'
import { decodeStored, readSmallFile, type SetSource } from './source.ts'

/** How a set was verified. */
export interface VerifyRecord {
  /** When it ended, RFC 3339. */
  readonly time: string
  /** True if nothing was wrong with what was read. */
  readonly ok: boolean
  /** Every block was decoded. */
  readonly deep: boolean
  /** Every archive was read; otherwise a part of them (`--subset`, `--max-duration`). */
  readonly complete: boolean
  /** It was encrypted and no key was given: what is stored was compared with the hashes of the backup, and not looked into. */
  readonly onlyHashes?: boolean | undefined
  readonly problems: number
}

/** How a set was drilled. */
export interface DrillRecord {
  /** When it ended, RFC 3339. */
  readonly time: string
  /** True if what was restored was as in the backup. */
  readonly ok: boolean
  readonly differences: number
  /** How long the restore took, milliseconds. */
  readonly recoveryMs: number
  /** True if all of the set was restored, not only a selection. */
  readonly complete: boolean
}

/** What is known of the health of a set. */
export interface SetChecks {
  readonly verified?: VerifyRecord | undefined
  readonly drilled?: DrillRecord | undefined
}

const SCHEMA = 'snap/checks/1'
const time = v.pipe(v.string(), v.isoTimestamp())
const checksSchema = v.object({
  schema: v.literal(SCHEMA),
  set: v.string(),
  verified: v.optional(
    v.object({
      ...{ time, ok: v.boolean(), deep: v.boolean(), complete: v.boolean(), problems: natural },
      onlyHashes: v.optional(v.boolean()),
    }),
  ),
  drilled: v.optional(
    v.object({
      ...{ time, ok: v.boolean(), differences: natural, recoveryMs: v.number() },
      complete: v.boolean(),
    }),
  ),
})

/** Encodes the health of a set, with its own hash. */
export function encodeChecks(set: string, { verified, drilled }: SetChecks): Uint8Array {
  return Buffer.concat([...sealJson({ schema: SCHEMA, set, verified, drilled })])
}

/** Decodes what {@link encodeChecks} returned. @throws SnapError `E_INTEGRITY`, `E_FORMAT` */
export function decodeChecks(bytes: Uint8Array, set: string, what = 'checks'): SetChecks {
  checkSeal(bytes, what)
  const { set: of, verified, drilled } = decodeJson(bytes, checksSchema, what)
  if (of === set) return { verified, drilled }
  throw new SnapError('E_FORMAT', `${what}: is of set ${of}, expected ${set}`)
}

/** Reads the health of a set. @throws SnapError `E_INTEGRITY` if it is missing or damaged */
export async function readChecks(
  source: SetSource,
  set: string,
  signal?: AbortSignal,
): Promise<SetChecks> {
  const name = checksName(set)
  const { bytes } = await readSmallFile(source, name, signal)
  return decodeStored(source, name, (what) => decodeChecks(bytes, set, what))
}

/** Reads what is known of the health of a set; a record that is missing or damaged says nothing. */
export async function readKnownChecks(
  { source, files }: Pick<SetListing, 'source' | 'files'>,
  set: string,
  signal?: AbortSignal,
): Promise<SetChecks> {
  if (!files.has(checksName(set))) return {}
  try {
    return await readChecks(source, set, signal)
  } catch (error) {
    if (error instanceof SnapError) return {}
    throw error
  }
}

/**
 * Tells whether a set was read or restored as a whole, and nothing wrong was found since. Hashes alone count: the backup looked into
 * every block as it wrote them.
 */
export function isProven({ verified, drilled }: SetChecks): boolean {
  const known = [verified, drilled].filter((check) => check !== undefined)
  return known.every(({ ok }) => ok) && known.some(({ complete }) => complete)
}

/**
 * Returns which of two records of verifications is to be kept: the later one, unless it found nothing wrong and looked at less
 * than the earlier one. So a part that is whole neither hides what was found elsewhere nor takes the place of a whole reading.
 */
export function keptRecord(before: VerifyRecord | undefined, now: VerifyRecord): VerifyRecord {
  if (before === undefined || !now.ok) return now
  return depthOf(now) >= depthOf(before.ok ? before : { ...before, complete: true }) ? now : before
}

/** How much a verification tells: of a part, of all that is stored by its hashes, of all that is in it. */
function depthOf({ complete, onlyHashes }: Pick<VerifyRecord, 'complete' | 'onlyHashes'>): number {
  if (!complete) return 0
  return onlyHashes ? 1 : 2
}
