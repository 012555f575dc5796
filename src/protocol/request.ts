import { SnapError } from '../errors.ts'
import { MAX_REQUEST_SIZE, MAX_UINT64, MAX_UPLOAD_SIZE, type RequestType } from './constants.ts'
import type { ExactJson } from './go-json.ts'
import { decodeExactJson, encodeGoJson, JsonNumber } from './go-json.ts'
import { formatGoTime, GO_ZERO_TIME, parseGoTime } from './go-time.ts'

/** A request, with the field names of influxd's JSON. What is left out goes out as Go's zero value. */
export interface Request {
  readonly Type: RequestType
  /** The database that is asked for, or the one in the uploaded metastore. */
  readonly BackupDatabase?: string | undefined
  /** The name the uploaded database gets. Default: its old one. */
  readonly RestoreDatabase?: string | undefined
  readonly BackupRetentionPolicy?: string | undefined
  readonly RestoreRetentionPolicy?: string | undefined
  readonly ShardID?: bigint | number | undefined
  /** Nanoseconds since 1970: only files changed after it. */
  readonly Since?: bigint | undefined
  /** First nanosecond of an export. */
  readonly ExportStart?: bigint | undefined
  /** Last nanosecond of an export. */
  readonly ExportEnd?: bigint | undefined
  /** Bytes that follow the JSON and its newline, at most {@link MAX_UPLOAD_SIZE}. */
  readonly UploadSize?: number | undefined
  /** 1 asks our own service to end a shard with the statement that it is complete; influxd passes over it. */
  readonly SnapTrailer?: 1 | undefined
  /** 1 asks our own service for the state of each shard beside its path; influxd passes over it. */
  readonly SnapState?: 1 | undefined
}

/** A request as it came in: every field is set, and what this version does not know is kept in `extra`. */
export interface ReceivedRequest {
  /** What the JSON says. The byte before the JSON decides, as in influxd. */
  readonly Type: number
  readonly BackupDatabase: string
  readonly RestoreDatabase: string
  readonly BackupRetentionPolicy: string
  readonly RestoreRetentionPolicy: string
  readonly ShardID: bigint
  /** Go's zero time arrives as undefined. */
  readonly Since: bigint | undefined
  readonly ExportStart: bigint | undefined
  readonly ExportEnd: bigint | undefined
  readonly UploadSize: number
  /** Keys that influxd does not have, by their name on the wire. */
  readonly extra: ReadonlyMap<string, ExactJson>
}

function checkedInteger(value: bigint | number, maximum: bigint, field: string): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) {
    const integer = BigInt(value)
    if (integer >= 0n && integer <= maximum) return integer
  }
  throw new SnapError('E_USAGE', `request: ${field} is ${value}, expected 0 to ${maximum}`)
}

/**
 * Returns a shard id as the wire has it.
 * @throws SnapError `E_USAGE` if it is no 64-bit unsigned integer
 */
export function toShardId(id: bigint | number): bigint {
  return checkedInteger(id, MAX_UINT64, 'ShardID')
}

/**
 * Encodes a request as Go's encoder prints it: all ten fields in order and a newline.
 * @throws SnapError `E_USAGE` if a number or time is out of range or the result is longer than influxd's requests may be here
 */
export function encodeRequest(request: Request): Uint8Array {
  const json = encodeGoJson({
    Type: checkedInteger(request.Type, 255n, 'Type'),
    BackupDatabase: request.BackupDatabase ?? '',
    RestoreDatabase: request.RestoreDatabase ?? '',
    BackupRetentionPolicy: request.BackupRetentionPolicy ?? '',
    RestoreRetentionPolicy: request.RestoreRetentionPolicy ?? '',
    ShardID: toShardId(request.ShardID ?? 0n),
    Since: formatGoTime(request.Since ?? GO_ZERO_TIME),
    ExportStart: formatGoTime(request.ExportStart ?? GO_ZERO_TIME),
    ExportEnd: formatGoTime(request.ExportEnd ?? GO_ZERO_TIME),
    UploadSize: checkedInteger(request.UploadSize ?? 0, BigInt(MAX_UPLOAD_SIZE), 'UploadSize'),
    ...(request.SnapTrailer && { SnapTrailer: request.SnapTrailer }),
    ...(request.SnapState && { SnapState: request.SnapState }),
  })
  const bytes = Buffer.from(`${json}\n`)
  if (bytes.length <= MAX_REQUEST_SIZE) return bytes
  throw new SnapError(
    'E_USAGE',
    `request: ${bytes.length} bytes of JSON, expected at most ${MAX_REQUEST_SIZE}`,
  )
}

function unexpected(field: string, expected: string, value: ExactJson): SnapError {
  const got = value instanceof JsonNumber ? value.text : JSON.stringify(value)
  return new SnapError(
    'E_PROTOCOL',
    `request: ${field} is ${got.slice(0, 100)}, expected ${expected}`,
  )
}

function toText(value: ExactJson, field: string): string {
  if (typeof value === 'string') return value.replace(/\p{Surrogate}/gu, '\ufffd')
  throw unexpected(field, 'a string', value)
}

function toTime(value: ExactJson, field: string): bigint | undefined {
  try {
    const time = parseGoTime(toText(value, field))
    return time === GO_ZERO_TIME ? undefined : time
  } catch {
    throw unexpected(field, 'an RFC 3339 time', value)
  }
}

function toInteger(value: ExactJson, field: string, maximum: bigint): bigint {
  if (value instanceof JsonNumber && /^(0|-?[1-9]\d*)$/.test(value.text)) {
    const integer = BigInt(value.text)
    if (integer >= 0n && integer <= maximum) return integer
  }
  throw unexpected(field, `an integer from 0 to ${maximum}`, value)
}

/** Keys that ask our own service for more than influxd gives; their value is 1. */
export type SnapKey = 'SnapTrailer' | 'SnapState'

/** Tells whether a received request has a key of ours. */
export function asksFor({ extra }: Pick<ReceivedRequest, 'extra'>, key: SnapKey): boolean {
  const asked = extra.get(key)
  return asked instanceof JsonNumber && asked.text === '1'
}

/** What each field is set to, by its name. A switch on the folded name would lose Go's spelling in messages. */
const DECODERS = {
  Type: (value: ExactJson, field: string) => Number(toInteger(value, field, 255n)),
  BackupDatabase: toText,
  RestoreDatabase: toText,
  BackupRetentionPolicy: toText,
  RestoreRetentionPolicy: toText,
  ShardID: (value: ExactJson, field: string) => toInteger(value, field, MAX_UINT64),
  Since: toTime,
  ExportStart: toTime,
  ExportEnd: toTime,
  UploadSize: (value: ExactJson, field: string) =>
    Number(toInteger(value, field, BigInt(MAX_UPLOAD_SIZE))),
} satisfies {
  [Field in Exclude<keyof Request, SnapKey>]-?: (value: ExactJson, field: string) => unknown
}

/** Simple Unicode case folding, as Go's decoder compares names: the Kelvin sign is a k, the long s an s. */
const FIELDS = Object.entries(DECODERS).map(([name, decode]) => ({
  name,
  pattern: new RegExp(`^${name}$`, 'iu'),
  decode,
}))

function isObject(json: ExactJson): json is { readonly [key: string]: ExactJson } {
  return (
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    !(json instanceof JsonNumber)
  )
}

/**
 * Decodes a request as Go's decoder reads it: names in any case, null leaves a field as it is, the last of two wins,
 * bytes that are no UTF-8 become U+FFFD.
 * @throws SnapError `E_PROTOCOL` if it is longer than {@link MAX_REQUEST_SIZE}, no JSON object, or a field has another
 *   type or is out of range (an `UploadSize` above {@link MAX_UPLOAD_SIZE} too)
 */
export function decodeRequest(bytes: Uint8Array): ReceivedRequest {
  if (bytes.length > MAX_REQUEST_SIZE) throw oversizedRequest()
  const json = decodeExactJson(Buffer.from(bytes).toString('utf8'), 'request')
  if (!isObject(json)) throw unexpected('the JSON', 'an object', json)
  const fields: { [name: string]: unknown } = {}
  const extra = new Map<string, ExactJson>()
  for (const [key, value] of Object.entries(json)) {
    const field = FIELDS.find(({ pattern }) => pattern.test(key))
    if (field === undefined) extra.set(key, value)
    else if (value !== null) fields[field.name] = field.decode(value, field.name)
  }
  return { ...ZERO_REQUEST, ...fields, extra }
}

const ZERO_REQUEST: Omit<ReceivedRequest, 'extra'> = {
  Type: 0,
  BackupDatabase: '',
  RestoreDatabase: '',
  BackupRetentionPolicy: '',
  RestoreRetentionPolicy: '',
  ShardID: 0n,
  Since: undefined,
  ExportStart: undefined,
  ExportEnd: undefined,
  UploadSize: 0,
}

/** Returns the error of a request longer than {@link MAX_REQUEST_SIZE}. */
export function oversizedRequest(): SnapError {
  return new SnapError('E_PROTOCOL', `request: more than ${MAX_REQUEST_SIZE} bytes of JSON`)
}
