import { createInflateRaw, type InflateRaw } from 'node:zlib'

const MAGIC = [0x1f, 0x8b, 8]
const HEADER_SIZE = 10
const TRAILER_SIZE = 8
/** Flags of a gzip header. Stock archives have a name, ours nothing. */
const HAS_EXTRA = 4
const HAS_NAME = 8
const HAS_COMMENT = 16
const HAS_CRC = 2

/** Bytes of output that are lost with an error: zlib keeps back what it made in the same step. */
const OUTPUT_CHUNK = 4096
/** The longest header that is taken for one. */
const MAX_HEADER = 64 * 1024

/**
 * Inflates an archive up to where it is damaged, and takes no notice of its check sums: what comes must have its own. It
 * ends where nothing more can be inflated. Errors of `archive` pass unchanged, after what came before them.
 */
export async function* readDamagedArchive(
  archive: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let member = new Member()
  for await (const chunk of archive) {
    let input: Uint8Array | undefined = chunk
    while (input !== undefined) {
      yield* member.inflate(input)
      if (member.isDamaged) return
      input = member.rest
      if (input !== undefined) member = new Member()
    }
  }
}

/** One member of a gzip archive. */
class Member {
  #head: Buffer = Buffer.alloc(0)
  #inflater: Inflater | undefined
  /** Bytes of the trailer that are still to come. */
  #trailer = TRAILER_SIZE
  isDamaged = false
  /** What comes after the member; undefined as long as it has not ended. */
  rest: Uint8Array | undefined

  async *inflate(input: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    let body = input
    if (this.#inflater === undefined) {
      this.#head = Buffer.concat([this.#head, input])
      const start = headerLength(this.#head)
      if (start === undefined) {
        this.isDamaged = isNoHeader(this.#head)
        return
      }
      body = this.#head.subarray(start)
      this.#inflater = new Inflater()
    }
    if (!this.#inflater.hasEnded) {
      yield* this.#inflater.take(body)
      this.isDamaged = this.#inflater.isDamaged
      if (!this.#inflater.hasEnded) return
      body = this.#inflater.rest
    }
    const skipped = Math.min(this.#trailer, body.length)
    this.#trailer -= skipped
    if (skipped < body.length) this.rest = body.subarray(skipped)
  }
}

function isNoHeader(head: Buffer): boolean {
  return MAGIC.some((byte, i) => i < head.length && head[i] !== byte) || head.length > MAX_HEADER
}

/** Returns where the compressed data begins; undefined if the header is not whole yet, or is none. */
function headerLength(head: Buffer): number | undefined {
  if (head.length < HEADER_SIZE || isNoHeader(head)) return undefined
  const flags = head[3] ?? 0
  let at = HEADER_SIZE
  if (flags & HAS_EXTRA) {
    if (head.length < at + 2) return undefined
    at += 2 + head.readUInt16LE(at)
  }
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if (!(flags & flag)) continue
    const end = head.indexOf(0, at)
    if (end < 0) return undefined
    at = end + 1
  }
  if (flags & HAS_CRC) at += 2
  return at <= head.length ? at : undefined
}

/** zlib, one piece of input at a time. */
class Inflater {
  readonly #inflate: InflateRaw = createInflateRaw({ chunkSize: OUTPUT_CHUNK })
  #output: Uint8Array[] = []
  #size = 0
  #last: Uint8Array = new Uint8Array()
  #wake: () => void = () => {}
  hasEnded = false
  isDamaged = false

  constructor() {
    this.#inflate.on('data', (bytes: Uint8Array) => this.#output.push(bytes))
    this.#inflate.on('error', () => {
      this.isDamaged = true
      this.#wake()
    })
    this.#inflate.on('end', () => {
      this.hasEnded = true
      this.#wake()
    })
  }

  /** What of the last input is not part of the data. */
  get rest(): Uint8Array {
    return this.#last.subarray(this.#last.length - (this.#size - this.#inflate.bytesWritten))
  }

  async *take(input: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    if (input.length === 0) return
    this.#last = input
    this.#size += input.length
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      // What ends the data is told a moment after the input was taken.
      this.#inflate.write(input, () => setImmediate(resolve))
    })
    const output = this.#output
    this.#output = []
    yield* output
  }
}
