import { SnapError } from '../errors.ts'

/** A tag of a series, unescaped. Names are bytes: influxd asks for no valid UTF-8. */
export interface Tag {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** A series, unescaped. */
export interface Series {
  readonly measurement: Uint8Array
  readonly tags: readonly Tag[]
}

/** The two parts of a key in TSM files, WAL and tombstones. */
export interface CompositeKey {
  /** As {@link parseSeriesKey} takes it. */
  readonly seriesKey: Uint8Array
  /** The field's name; it is not escaped. */
  readonly field: Uint8Array
}

const FIELD_SEPARATOR = Buffer.from('#!~#')

const COMMA = 0x2c
const SPACE = 0x20
const EQUALS = 0x3d
const BACKSLASH = 0x5c

const MEASUREMENT_SPECIALS: readonly number[] = [COMMA, SPACE]
const TAG_SPECIALS: readonly number[] = [COMMA, SPACE, EQUALS]

/**
 * Splits `series key #!~# field` at the first separator, as influxd does. The parts are views over `key`.
 * @throws SnapError `E_FORMAT` if there is no separator
 */
export function parseCompositeKey(key: Uint8Array): CompositeKey {
  const at = Buffer.from(key.buffer, key.byteOffset, key.byteLength).indexOf(FIELD_SEPARATOR)
  if (at < 0) {
    throw new SnapError('E_FORMAT', `key ${Buffer.from(key).toString()} has no #!~# before a field`)
  }
  return { seriesKey: key.subarray(0, at), field: key.subarray(at + FIELD_SEPARATOR.length) }
}

/** Returns the series of a composite key, a view over `key`: all of it if it has no field. */
export function seriesOf(key: Uint8Array): Uint8Array {
  const at = Buffer.from(key.buffer, key.byteOffset, key.byteLength).indexOf(FIELD_SEPARATOR)
  return at < 0 ? key : key.subarray(0, at)
}

/** Returns the measurement of a series, unescaped, as {@link parseSeriesKey} does. */
export function measurementOf(seriesKey: Uint8Array): Uint8Array {
  if (seriesKey[0] === COMMA) return seriesKey.subarray(0, 0)
  const end = scan(seriesKey, 1, MEASUREMENT_SPECIALS)
  return unescapeName(seriesKey.subarray(0, end), MEASUREMENT_SPECIALS)
}

/** Returns the key of a field of a series. */
export function formatCompositeKey({ seriesKey, field }: CompositeKey): Uint8Array {
  return Buffer.concat([seriesKey, FIELD_SEPARATOR, field])
}

/**
 * Parses `measurement,tag=value,...` with influxd's rules: a backslash takes away the meaning of a comma, space or
 * equals sign after it and is dropped there, and stands for itself before anything else. Tags without a value are
 * left out. The result may share memory with `seriesKey`.
 */
export function parseSeriesKey(seriesKey: Uint8Array): Series {
  const end = scan(seriesKey, 1, MEASUREMENT_SPECIALS)
  const measurement = measurementOf(seriesKey)
  const tags: Tag[] = []
  // an empty measurement is none: influxd looks for no tags after it
  if (seriesKey[0] === COMMA) return { measurement, tags }
  if (seriesKey[end] !== COMMA) return { measurement, tags }
  for (let at = end + 1; at < seriesKey.length; ) {
    const equals = scan(seriesKey, at, [EQUALS])
    const comma = scan(seriesKey, equals + 1, [COMMA])
    if (comma > equals + 1) {
      tags.push({
        key: unescapeName(seriesKey.subarray(at, equals), TAG_SPECIALS),
        value: unescapeName(seriesKey.subarray(equals + 1, comma), TAG_SPECIALS),
      })
    }
    at = comma + 1
  }
  return { measurement, tags }
}

// Returns the offset of the first of `stops` that has no backslash before it, from `at` on, or the length.
function scan(bytes: Uint8Array, at: number, stops: readonly number[]): number {
  for (let i = at; i < bytes.length; i++) {
    if (stops.includes(bytes[i] ?? 0) && bytes[i - 1] !== BACKSLASH) return i
  }
  return bytes.length
}

function unescapeName(bytes: Uint8Array, specials: readonly number[]): Uint8Array {
  if (!bytes.includes(BACKSLASH)) return bytes
  return bytes.filter((byte, i) => byte !== BACKSLASH || !specials.includes(bytes[i + 1] ?? 0))
}

/**
 * Returns the key of a series: names escaped, tags in the order of their keys, those without a value left out.
 *
 * The notation has no way to write a name that ends with a backslash where a separator follows.
 */
export function formatSeriesKey({ measurement, tags }: Series): Uint8Array {
  const parts = [escapeName(measurement, MEASUREMENT_SPECIALS)]
  for (const { key, value } of [...tags].sort((a, b) => Buffer.compare(a.key, b.key))) {
    if (value.length === 0) continue
    parts.push(Uint8Array.of(COMMA), escapeName(key, TAG_SPECIALS))
    parts.push(Uint8Array.of(EQUALS), escapeName(value, TAG_SPECIALS))
  }
  return Buffer.concat(parts)
}

function escapeName(bytes: Uint8Array, specials: readonly number[]): Uint8Array {
  if (!bytes.some((byte) => specials.includes(byte))) return bytes
  const escaped: number[] = []
  for (const byte of bytes) {
    if (specials.includes(byte)) escaped.push(BACKSLASH)
    escaped.push(byte)
  }
  return Uint8Array.from(escaped)
}
