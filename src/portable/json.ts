import { isUtf8 } from 'node:buffer'
import * as v from 'valibot'
import { asSnapError, SnapError } from '../errors.ts'

/** The longest JSON file of a set that is read, in bytes. */
export const MAX_JSON_SIZE = 64 * 1024 * 1024

/** The text of a JSON file. @throws SnapError `E_FORMAT` if it is too long or no UTF-8 */
export function decodeText(bytes: Uint8Array, what: string): string {
  if (bytes.length > MAX_JSON_SIZE) {
    throw new SnapError(
      'E_FORMAT',
      `${what}: ${bytes.length} bytes, expected at most ${MAX_JSON_SIZE}`,
    )
  }
  if (!isUtf8(bytes)) throw new SnapError('E_FORMAT', `${what}: is not UTF-8`)
  // Not a TextDecoder, whose strings take two bytes for each character, as does all that is parsed out of them.
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
}

/** Holds `value` to `schema`. @throws SnapError `E_FORMAT` with the path of the first thing that is wrong */
export function checkShape<T>(
  schema: v.GenericSchema<unknown, T>,
  value: unknown,
  what: string,
): T {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const path = v.getDotPath(issue)
  const message = `${what}: ${path === null ? '' : `${path}: `}${issue.message}`
  throw new SnapError('E_FORMAT', message)
}

/** Decodes JSON of a known shape; keys that the schema does not know are ignored. @throws SnapError `E_FORMAT` */
export function decodeJson<T>(
  bytes: Uint8Array,
  schema: v.GenericSchema<unknown, T>,
  what: string,
): T {
  return checkShape(schema, parseText(bytes, what), what)
}

/** In a function of its own, so that the text is let go of before what it says is checked. */
function parseText(bytes: Uint8Array, what: string): unknown {
  const text = decodeText(bytes, what)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw asSnapError(error, 'E_FORMAT', what)
  }
}

/** For `JSON.stringify`: 64-bit numbers go into our JSON as decimal text, exact for every reader. */
export function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function decimal(min: bigint, max: bigint) {
  return v.pipe(
    v.string(),
    v.regex(/^(0|-?[1-9]\d{0,19})$/, 'expected an integer in decimal digits'),
    v.transform((digits: string) => BigInt(digits)),
    v.minValue(min),
    v.maxValue(max),
  )
}

/** Decimal text of an unsigned 64-bit number, such as a shard id. */
export const uint64Text = decimal(0n, 0xffff_ffff_ffff_ffffn)

/** Decimal text of nanoseconds since the epoch. */
export const timeText = decimal(-(1n << 63n), (1n << 63n) - 1n)

/** Bytes or a count. */
export const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** A sha256 in lower-case hex. */
export const sha256Text = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected a sha256 in hex'))
