import { pipeline } from 'node:stream/promises'
import { createGunzip, gzipSync } from 'node:zlib'
import { asSnapError, SnapError } from '../errors.ts'
import { MAX_KEY_LENGTH } from './format.ts'
import { MAX_TIME, MIN_TIME, type TimeRange } from './values.ts'

/** One deletion: the points of `key` from `minTime` to `maxTime`, in the one TSM file it belongs to. */
export interface Tombstone extends TimeRange {
  /** A composite key. */
  readonly key: Uint8Array
  /** True if every key that begins with `key` is meant. */
  readonly prefix?: boolean
}

// The first four bytes of a file, by version; version 1 has none.
const TOMBSTONE_MAGIC = { 2: 0x1502, 3: 0x1503, 4: 0x1504 } as const

/** Most bytes of tombstones that are read from one file, decompressed. */
const MAX_TOMBSTONES_SIZE = 4 * 1024 * 1024 * 1024

// Highest bit of a key's length. Only pre-releases of 2.0 wrote it, in version 4.
const PREFIX_BIT = 0x8000_0000
const MAGIC_SIZE = 4
const FIELD_SEPARATOR = '#!~#'

/**
 * Encodes a tombstone file, see docs/formats/tombstone.md.
 * @param version 4, what influxd has written since 1.5, unless said otherwise
 * @throws SnapError `E_FAILED` if a prefix is to be written in a version other than 4
 */
export function encodeTombstones(
  tombstones: Iterable<Tombstone>,
  version: 2 | 3 | 4 = 4,
): Uint8Array {
  const magic = Buffer.alloc(4)
  magic.writeUInt32BE(TOMBSTONE_MAGIC[version])
  const records: Buffer[] = []
  for (const { key, prefix, minTime, maxTime } of tombstones) {
    if (prefix && version !== 4) {
      throw new SnapError('E_FAILED', `tombstones of version ${version} have no prefixes`)
    }
    const record = Buffer.alloc(4 + key.length + 16)
    record.writeUInt32BE(key.length + (prefix ? PREFIX_BIT : 0))
    record.set(key, 4)
    record.writeBigInt64BE(minTime, 4 + key.length)
    record.writeBigInt64BE(maxTime, 12 + key.length)
    records.push(record)
  }
  const body = Buffer.concat(records)
  return Buffer.concat([magic, version === 2 ? body : gzipSync(body)])
}

/**
 * Decodes a tombstone file of any version as its bytes come, in bounded memory.
 * @param name names the file in messages
 * @throws SnapError `E_FORMAT` if it is damaged
 */
export async function* decodeTombstones(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Tombstone> {
  const iterator = chunks[Symbol.asyncIterator]()
  try {
    let head = Buffer.alloc(0)
    while (head.length < MAGIC_SIZE) {
      const { done, value } = await iterator.next()
      if (done) break
      head = Buffer.concat([head, value])
    }
    const magic = head.length < MAGIC_SIZE ? 0 : head.readUInt32BE()
    const body = joined(magic in VERSIONS ? head.subarray(MAGIC_SIZE) : head, iterator)
    const version = VERSIONS[magic] ?? 1
    if (version === 1) yield* decodeLines(body, name)
    else yield* decodeRecords(version === 2 ? body : gunzip(body, name), name)
  } finally {
    await iterator.return?.()
  }
}

const VERSIONS: Readonly<Record<number, number>> = Object.fromEntries(
  Object.entries(TOMBSTONE_MAGIC).map(([version, magic]) => [magic, Number(version)]),
)

// The bytes that were read, then those that are left, in chunks that are not empty.
async function* joined(
  head: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    if (next.value.length > 0) yield next.value
  }
}

// Version 1: composite keys, one a line, deleted for all of time.
async function* decodeLines(
  body: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Tombstone> {
  const all = { minTime: MIN_TIME, maxTime: MAX_TIME }
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + Buffer.from(chunk).toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield { key: lineKey(line, name), ...all }
    if (rest.length > MAX_KEY_LENGTH + 1) lineKey(rest, name)
  }
  if (rest !== '') yield { key: lineKey(rest, name), ...all }
}

function lineKey(line: string, name: string): Uint8Array {
  const key = line.replace(/\r$/, '')
  if (key.length <= MAX_KEY_LENGTH && key.includes(FIELD_SEPARATOR))
    return Buffer.from(key, 'latin1')
  throw new SnapError('E_FORMAT', `${name}: neither a tombstone file nor a list of keys`)
}

interface Decoded {
  readonly tombstone: Tombstone
  readonly end: number
}

//     | key length u32 | key | minimum time i64 | maximum time i64 |
function decodeRecord(bytes: Buffer, at: number, name: string): Decoded | undefined {
  if (at + 4 > bytes.length) return undefined
  const word = bytes.readUInt32BE(at)
  const prefix = word >= PREFIX_BIT
  const length = prefix ? word - PREFIX_BIT : word
  if (length > MAX_KEY_LENGTH) {
    const message = `${name}: a key of ${length} bytes, at most ${MAX_KEY_LENGTH} are possible`
    throw new SnapError('E_FORMAT', message)
  }
  const times = at + 4 + length
  if (times + 16 > bytes.length) return undefined
  const key = Uint8Array.from(bytes.subarray(at + 4, times))
  const minTime = bytes.readBigInt64BE(times)
  const maxTime = bytes.readBigInt64BE(times + 8)
  return { tombstone: { key, minTime, maxTime, ...(prefix && { prefix }) }, end: times + 16 }
}

async function* decodeRecords(
  body: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Tombstone> {
  let rest = Buffer.alloc(0)
  let total = 0
  for await (const chunk of body) {
    total += chunk.length
    if (total > MAX_TOMBSTONES_SIZE) {
      throw new SnapError(
        'E_FORMAT',
        `${name}: more than ${MAX_TOMBSTONES_SIZE} bytes of tombstones`,
      )
    }
    const bytes = Buffer.concat([rest, chunk])
    let at = 0
    for (;;) {
      const decoded = decodeRecord(bytes, at, name)
      if (decoded === undefined) break
      yield decoded.tombstone
      at = decoded.end
    }
    rest = bytes.subarray(at)
  }
  if (rest.length > 0) throw new SnapError('E_FORMAT', `${name}: the last tombstone is cut`)
}

// Decompresses one gzip member after the other.
async function* gunzip(body: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const first = await body.next()
  // influxd can leave a bare header: no tombstones
  if (first.done) return
  const engine = createGunzip()
  let given = 0
  const fed = pipeline(async function* () {
    for await (const chunk of joined(first.value, body)) {
      given += chunk.length
      // The engine keeps some for later, when the memory that they came in may be used again.
      yield Uint8Array.from(chunk)
    }
  }, engine)
  // its failure comes out of the engine as well
  fed.catch(() => {})
  try {
    for await (const chunk of engine) yield chunk
    await fed
  } catch (error) {
    throw asSnapError(error, 'E_FORMAT', name)
  }
  // zlib takes zeros after a member for padding; nothing that influxd writes has any
  if (engine.bytesWritten !== given) {
    throw new SnapError('E_FORMAT', `${name}: bytes after the last gzip member`)
  }
}
