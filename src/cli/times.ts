import { SnapError } from '../errors.ts'
import { parseGoTime } from '../protocol/go-time.ts'

const NANOSECONDS_PER_UNIT: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
  w: 604_800_000_000_000n,
}

/** The longest text of a time or a duration that is looked at. */
const MAX_TEXT = 64

const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+$/
const DURATION_PART = /(\d+)(?:\.(\d+))?(ns|us|µs|ms|s|m|h|d|w)/g

/** The first time influxd can store, in nanoseconds. */
export const MIN_TIME = -(2n ** 63n) + 2n
/** The last time influxd can store, in nanoseconds. */
export const MAX_TIME = 2n ** 63n - 2n

function durationNanoseconds(text: string): bigint | undefined {
  if (text.length > MAX_TEXT || !DURATION.test(text)) return undefined
  let total = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(DURATION_PART)) {
    const scale = NANOSECONDS_PER_UNIT[unit] ?? 0n
    total += BigInt(whole) * scale
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length)
  }
  return total
}

function rfc3339Nanoseconds(text: string): bigint | undefined {
  try {
    return text.length > MAX_TEXT ? undefined : parseGoTime(text)
  } catch {
    return undefined
  }
}

/**
 * Reads a point in time: RFC 3339 with up to nine digits of a second, or a duration back from now (`36h`, `7d`,
 * `1h30m`).
 *
 * @param now milliseconds since the epoch
 * @returns nanoseconds since the epoch
 * @throws SnapError `E_USAGE`
 */
export function parseTime(text: string, name: string, now = Date.now()): bigint {
  const back = durationNanoseconds(text)
  const time = back === undefined ? rfc3339Nanoseconds(text) : BigInt(now) * 1_000_000n - back
  if (time !== undefined && time >= MIN_TIME && time <= MAX_TIME) return time
  throw new SnapError(
    'E_USAGE',
    `${name}: expected a time as 2026-01-31T00:00:00Z or a duration back from now as 36h, got ${JSON.stringify(text)}`,
    time === undefined ? {} : { hint: 'influxd stores times from 1677-09-21 to 2262-04-11' },
  )
}

/**
 * Reads a duration above zero (`500ms`, `10s`, `1h30m`, `7d`, `2w`).
 *
 * @returns milliseconds, at most 2^53
 * @throws SnapError `E_USAGE`
 */
export function parseDuration(text: string, name: string): number {
  const milliseconds = Number(durationNanoseconds(text) ?? 0n) / 1e6
  if (milliseconds > 0 && milliseconds <= Number.MAX_SAFE_INTEGER) return milliseconds
  throw new SnapError(
    'E_USAGE',
    `${name}: expected a duration as 500ms, 10s, 1h30m or 7d, got ${JSON.stringify(text)}`,
  )
}

/** The longest wait a timer of Node can hold: 2^31 - 1 milliseconds, some 24 days. */
const MAX_TIMER = 2 ** 31 - 1

/** Reads a deadline: a duration that a timer can hold (24 days). Same result and errors as {@link parseDuration}. */
export function parseDeadline(text: string, name: string): number {
  const milliseconds = parseDuration(text, name)
  if (milliseconds <= MAX_TIMER) return Math.ceil(milliseconds)
  throw new SnapError(
    'E_USAGE',
    `${name}: expected at most 24d for a deadline, got ${JSON.stringify(text)}`,
  )
}

/** Reads how long to wait: a duration as {@link parseDuration} reads it, or 0 for not at all. */
export function parseWait(text: string, name: string): number {
  return /^0[a-z]{0,2}$/.test(text) ? 0 : parseDuration(text, name)
}
