import { randomBytes } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { openedSize, PAYLOAD_NONCE_SIZE, type PayloadKey, payloadKey, sealedSize } from './chunk.ts'
import type { Identities, Recipients } from './keys.ts'
import { openPayload, openPayloadRange, type PlainRange, sealPayload } from './payload.ts'

const MAGIC = Buffer.from('age-encryption.org/')
/** The line before the payload begins with these, after the end of the line before. */
const LAST_LINE = Buffer.from('\n---')
const NEWLINE = 0x0a
/** Bytes that are read to find the end of a header: more than that of most. */
export const USUAL_HEAD_SIZE = 4096
/** The longest header that is read, nonce included: some 60 recipients of the longest kind. */
export const MAX_HEAD_SIZE = 128 * 1024

/** What stands before the chunks of a file, and the key to them. */
export interface FileHead {
  /** Bytes before the first chunk. */
  readonly size: number
  readonly key: PayloadKey
}

/** A file to be written: its first bytes, and the key for what follows. */
export interface NewFile extends FileHead {
  readonly bytes: Uint8Array
}

/** Begins a file for `recipients`. */
export async function beginFile(recipients: Recipients): Promise<NewFile> {
  const { header, fileKey } = await recipients.seal()
  const nonce = randomBytes(PAYLOAD_NONCE_SIZE)
  const bytes = Buffer.concat([header, nonce])
  if (bytes.length > MAX_HEAD_SIZE) throw new SnapError('E_USAGE', 'too many recipients')
  return { bytes, size: bytes.length, key: payloadKey(fileKey, nonce) }
}

/** Encrypts `body` into a file that was begun. Errors of `body` pass unchanged. */
export async function* writeFile(
  { bytes, key }: NewFile,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
  yield* sealPayload(key, body)
}

/** Bytes of a file with `size` bytes of plaintext. */
export function fileSize(head: Pick<FileHead, 'size'>, size: number): number {
  return head.size + sealedSize(size)
}

/**
 * Bytes of plaintext in a file of `size` bytes.
 * @throws SnapError `E_INTEGRITY` if no file with this head is of that size
 */
export function plainSize(head: Pick<FileHead, 'size'>, size: number, what: string): number {
  const plain = size < head.size ? undefined : openedSize(size - head.size)
  if (plain !== undefined) return plain
  throw new SnapError('E_INTEGRITY', `${what}: cut at ${size} bytes`)
}

/** Returns how many bytes stand before the chunks of a file; undefined if `start` of it is not enough to tell. */
function findHeadSize(start: Buffer, what: string): number | undefined {
  const begun = Math.min(start.length, MAGIC.length)
  if (!start.subarray(0, begun).equals(MAGIC.subarray(0, begun))) {
    throw new SnapError('E_FORMAT', `${what}: not encrypted with age`)
  }
  const line = start.indexOf(LAST_LINE)
  const end = line < 0 ? -1 : start.indexOf(NEWLINE, line + LAST_LINE.length)
  const size = end + 1 + PAYLOAD_NONCE_SIZE
  if (end >= 0 && size <= start.length) return size
  if (start.length < MAX_HEAD_SIZE) return undefined
  throw new SnapError('E_FORMAT', `${what}: no end of its header in ${MAX_HEAD_SIZE} bytes`)
}

/**
 * Opens the head of a file.
 * @param start the first bytes of it
 * @returns undefined if they are too few
 * @throws SnapError `E_KEY`, `E_FORMAT` if they are no head of a file, or damaged
 */
export async function openHead(
  identities: Identities,
  start: Uint8Array,
  what: string,
): Promise<FileHead | undefined> {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.length)
  const size = findHeadSize(bytes, what)
  if (size === undefined) return undefined
  const header = bytes.subarray(0, size - PAYLOAD_NONCE_SIZE)
  const fileKey = await identities.open(header, what)
  return { size, key: payloadKey(fileKey, bytes.subarray(header.length, size)) }
}

/**
 * Decrypts a file from its beginning to its end. Nothing comes out that was changed, moved or cut. Errors of `file` pass
 * unchanged.
 * @param what names the file in messages
 * @throws SnapError `E_KEY`, `E_FORMAT` for its header, `E_INTEGRITY` naming the offset of what is damaged
 */
export async function* readFile(
  identities: Identities,
  file: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = file[Symbol.asyncIterator]()
  try {
    let start: Uint8Array = new Uint8Array()
    let head: FileHead | undefined
    while (head === undefined) {
      const next = await chunks.next()
      if (next.done) throw cutHeader(what, start.length)
      start = start.length === 0 ? next.value : Buffer.concat([start, next.value])
      head = await openHead(identities, start, what)
    }
    const payload = rejoin(start.subarray(head.size), chunks)
    yield* openPayload(head.key, payload, { what, offset: head.size })
  } finally {
    await chunks.return?.()
  }
}

/** Says that a file ends before its header does. */
export function cutHeader(what: string, size: number): SnapError {
  return new SnapError('E_FORMAT', `${what}: cut at ${size} bytes, in its header`)
}

async function* rejoin(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (first.length > 0) yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

/** A file that can be read from the middle. */
export interface SealedFile {
  /** What it is, for messages. */
  readonly what: string
  readonly head: FileHead
  /** Bytes of the file. */
  readonly size: number
  /** Reads bytes of the file. */
  readonly read: (range: PlainRange) => AsyncIterable<Uint8Array>
}

/**
 * Decrypts a range of the plaintext of a file.
 * @throws SnapError `E_INTEGRITY` if a chunk is damaged or the plaintext ends before the range does
 */
export async function* readFileRange(
  { what, head, size, read }: SealedFile,
  range: PlainRange,
): AsyncGenerator<Uint8Array, void, undefined> {
  const plain = plainSize(head, size, what)
  if (range.end > plain) {
    throw new SnapError('E_INTEGRITY', `${what}: ends at ${plain}, expected ${range.end} bytes`)
  }
  const { size: offset } = head
  const fromChunks = ({ start, end }: PlainRange) =>
    read({ start: offset + start, end: offset + end })
  yield* openPayloadRange(head.key, range, { what, offset, size: plain, read: fromChunks })
}

/**
 * Checks that the last chunk of a file is the last that was written: what is read of it by range would not show that
 * the file is cut.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkEnd(file: SealedFile): Promise<void> {
  const plain = plainSize(file.head, file.size, file.what)
  if (plain === 0) {
    const sealed: Uint8Array[] = []
    const { size: offset, key } = file.head
    for await (const chunk of file.read({ start: offset, end: file.size })) sealed.push(chunk)
    const payload = (async function* () {
      yield* sealed
    })()
    for await (const _ of openPayload(key, payload, { what: file.what, offset }));
    return
  }
  for await (const _ of readFileRange(file, { start: plain - 1, end: plain }));
}
