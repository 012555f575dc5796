import {
  CHUNK_SIZE,
  damagedChunk,
  openChunk,
  type PayloadKey,
  SEALED_CHUNK_SIZE,
  sealChunk,
  sealedSize,
  TAG_SIZE,
} from './chunk.ts'

/**
 * Seals `body` chunk by chunk. No more than one chunk is held back; what is yielded belongs to the consumer. Errors of
 * `body` pass unchanged.
 */
export async function* sealPayload(
  key: PayloadKey,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = 0
  const seal = (chunk: Uint8Array, into: Uint8Array) =>
    sealChunk(key, { index: index++, isLast: false }, { chunk, into })
  const pieces = new Pieces(CHUNK_SIZE)
  for await (const bytes of body) {
    const count = pieces.countWith(bytes)
    const sealed = Buffer.allocUnsafeSlow(count * SEALED_CHUNK_SIZE)
    let at = 0
    for (const chunk of pieces.take(bytes)) {
      seal(chunk, sealed.subarray(at))
      at += SEALED_CHUNK_SIZE
    }
    if (count > 0) yield sealed
  }
  const chunk = pieces.rest()
  const into = Buffer.allocUnsafeSlow(chunk.length + TAG_SIZE)
  sealChunk(key, { index, isLast: true }, { chunk, into })
  yield into
}

/** Where chunks come from. */
export interface PayloadPlace {
  /** What is read, for messages. */
  readonly what: string
  /** Where its first chunk begins in the file, in bytes. */
  readonly offset: number
}

/**
 * Opens chunks and checks each of them, and that the last one is the last: nothing that was changed, moved or cut
 * comes out, not even a part. Errors of `payload` pass unchanged.
 * @throws SnapError `E_INTEGRITY` naming the file and the offset
 */
export async function* openPayload(
  key: PayloadKey,
  payload: AsyncIterable<Uint8Array>,
  { what, offset }: PayloadPlace,
): AsyncGenerator<Uint8Array, void, undefined> {
  let index = 0
  const open = (sealed: Uint8Array, isLast: boolean) => {
    const at = offset + index * SEALED_CHUNK_SIZE
    const place = { index: index++, isLast }
    const chunk = openChunk(key, place, sealed)
    if (chunk === undefined) throw damagedChunk(key, place, { sealed, offset: at, what })
    return chunk
  }
  const pieces = new Pieces(SEALED_CHUNK_SIZE)
  for await (const bytes of payload) {
    for (const sealed of pieces.take(bytes)) yield open(sealed, false)
  }
  const last = open(pieces.rest(), true)
  if (last.length > 0) yield last
}

/** A range of plaintext: `start` is in it, `end` is not. */
export interface PlainRange {
  readonly start: number
  readonly end: number
}

/**
 * Opens the chunks that hold a range of plaintext.
 * @param size bytes of all the plaintext, at least `range.end`
 * @param read reads a range of the chunks, counted from the first
 * @throws SnapError `E_INTEGRITY`
 */
export async function* openPayloadRange(
  key: PayloadKey,
  range: PlainRange,
  {
    size,
    read,
    ...place
  }: PayloadPlace & {
    readonly size: number
    readonly read: (range: PlainRange) => AsyncIterable<Uint8Array>
  },
): AsyncGenerator<Uint8Array, void, undefined> {
  if (range.start === range.end) return
  const lastIndex = Math.max(0, Math.ceil(size / CHUNK_SIZE) - 1)
  const first = Math.floor(range.start / CHUNK_SIZE)
  const end = Math.ceil(range.end / CHUNK_SIZE)
  const sealedEnd = Math.min(sealedSize(size), end * SEALED_CHUNK_SIZE)
  let index = first
  const opened = (sealed: Uint8Array) => {
    const offset = place.offset + index * SEALED_CHUNK_SIZE
    const at = { index, isLast: index === lastIndex }
    const chunk = openChunk(key, at, sealed)
    if (chunk === undefined) throw damagedChunk(key, at, { sealed, offset, what: place.what })
    const start = index * CHUNK_SIZE
    index++
    return chunk.subarray(Math.max(0, range.start - start), range.end - start)
  }
  const pieces = new Pieces(SEALED_CHUNK_SIZE)
  for await (const bytes of read({ start: first * SEALED_CHUNK_SIZE, end: sealedEnd })) {
    for (const sealed of pieces.take(bytes)) yield opened(sealed)
  }
  yield opened(pieces.rest())
}

/** Cuts a stream into pieces of one size, and keeps back the last, which may be whole. */
class Pieces {
  readonly #size: number
  readonly #held: Buffer
  #length = 0

  constructor(size: number) {
    this.#size = size
    this.#held = Buffer.allocUnsafeSlow(size)
  }

  /** How many pieces {@link Pieces.take} will give of `bytes`. */
  countWith(bytes: Uint8Array): number {
    return Math.max(0, Math.ceil((this.#length + bytes.length) / this.#size) - 1)
  }

  /** Gives the pieces that something follows, each valid until the next. */
  *take(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let at = 0
    for (let count = this.countWith(bytes); count > 0; count--) {
      if (this.#length === 0) {
        yield bytes.subarray(at, at + this.#size)
        at += this.#size
      } else {
        const missing = this.#size - this.#length
        this.#held.set(bytes.subarray(at, at + missing), this.#length)
        at += missing
        this.#length = 0
        yield this.#held
      }
    }
    this.#held.set(bytes.subarray(at), this.#length)
    this.#length += bytes.length - at
  }

  /** What was kept back. */
  rest(): Uint8Array {
    return this.#held.subarray(0, this.#length)
  }
}
