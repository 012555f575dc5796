import { SnapError } from '../errors.ts'

/** Go's zero time, 0001-01-01T00:00:00Z, in nanoseconds since 1970. It is far outside of int64. */
export const GO_ZERO_TIME = -62_135_596_800_000_000_000n

const NANOSECONDS = 1_000_000_000n
const RFC3339 =
  /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/

/** Splits into whole seconds, rounded down, and the nanoseconds left. */
function splitSeconds(time: bigint): { seconds: bigint; nanoseconds: bigint } {
  const nanoseconds = ((time % NANOSECONDS) + NANOSECONDS) % NANOSECONDS
  return { seconds: (time - nanoseconds) / NANOSECONDS, nanoseconds }
}

/**
 * Formats nanoseconds since 1970 as Go's JSON encoder does: RFC 3339 in UTC, the fraction without trailing zeros.
 * @throws SnapError `E_USAGE` outside of the years 0 to 9999, which RFC 3339 cannot write
 */
export function formatGoTime(time: bigint): string {
  const { seconds, nanoseconds } = splitSeconds(time)
  const date = new Date(Number(seconds) * 1000)
  const year = date.getUTCFullYear()
  if (!(year >= 0 && year <= 9999)) {
    throw new SnapError('E_USAGE', `time ${time} ns is outside of the years 0 to 9999`)
  }
  const fraction = nanoseconds.toString().padStart(9, '0').replace(/0+$/, '')
  const whole = date.toISOString().slice(0, 'YYYY-MM-DDThh:mm:ss'.length)
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`
}

/**
 * Parses RFC 3339 with any offset into nanoseconds since 1970. As in Go, digits after the ninth of the fraction are
 * dropped, a comma may stand for its point, and there are no leap seconds.
 * @throws SnapError `E_FORMAT` for anything else
 */
export function parseGoTime(text: string): bigint {
  const [, whole = '', fraction = '', sign = '+', hours = '0', minutes = '0'] =
    RFC3339.exec(text) ?? []
  const milliseconds = Date.parse(`${whole}Z`)
  // Date.parse lets February 30 and 24:00 roll over into the next day.
  const exists =
    !Number.isNaN(milliseconds) && new Date(milliseconds).toISOString().startsWith(whole)
  if (!exists) {
    throw new SnapError('E_FORMAT', `expected an RFC 3339 time, got ${JSON.stringify(text)}`)
  }
  const offset = (Number(hours) * 3600 + Number(minutes) * 60) * (sign === '-' ? -1 : 1)
  const seconds = BigInt(milliseconds / 1000 - offset)
  return seconds * NANOSECONDS + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
}
