import { once } from 'node:events'
import { extract, type Header, pack } from 'tar-stream'
import { SnapError } from '../errors.ts'

/** A tar is made of blocks of this size: headers, bodies padded with zeros, two zero blocks at the end. */
export const BLOCK_SIZE = 512
/** Two zero blocks end a tar. */
export const TRAILER_SIZE = 2 * BLOCK_SIZE

/** What we use of an entry's header. */
export interface EntryHeader {
  readonly name: string
  readonly type: 'file' | 'directory'
  /** Bytes of the body, without padding. */
  readonly size: number
  readonly mtime: Date
  /** Permission bits. */
  readonly mode: number
}

/** A header with its extended headers needs three or four blocks; this leaves room for the longest names. */
const MAX_HEADER_BLOCKS = 64
const TYPE_OFFSET = 156
const GLOBAL_HEADER = 'g'.charCodeAt(0)
/** The largest second tar-stream can put into the header's field; later times need an extended header. */
const MAX_FIELD_SECONDS = 2 ** 31 - 1

/** Returns whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}

/** Returns how many zero bytes follow a body of `size` bytes. */
export function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE
}

/**
 * Decodes one header with its extended headers (PAX, GNU long name). `next` gives the blocks after `first`,
 * `where` begins every message. tar-stream decodes, and is shown nothing but headers: it would take a missing trailer for the end, and skip
 * zero blocks between entries where influxd stops reading.
 * @throws SnapError `E_FORMAT` if it is no header, or of anything but a file or a directory
 */
export async function decodeHeader(
  first: Uint8Array,
  where: string,
  next: () => Promise<Uint8Array>,
): Promise<EntryHeader> {
  if (first[TYPE_OFFSET] === GLOBAL_HEADER) {
    throw invalid(where, 'a global header, which influxd cannot read')
  }
  const decoder = new HeaderDecoder()
  try {
    let block = first
    for (let count = 1; count <= MAX_HEADER_BLOCKS; count += 1) {
      if (isZero(block)) throw invalid(where, 'a zero block inside a header')
      const header = await decoder.add(block, where)
      if (header !== undefined) return checkHeader(header, where)
      block = await next()
    }
    throw invalid(where, `a header longer than ${MAX_HEADER_BLOCKS * BLOCK_SIZE} bytes`)
  } finally {
    decoder.close()
  }
}

class HeaderDecoder {
  // With the smallest buffer every written block is followed by `drain`, `entry` or `close`.
  readonly #extract = extract({ highWaterMark: 1 })
  #header: Header | undefined
  #error: Error | undefined
  #wake: () => void = () => {}

  constructor() {
    this.#extract.on('entry', (header, body) => {
      body.on('error', () => {})
      this.#header = header
      this.#wake()
    })
    this.#extract.on('error', (error) => {
      this.#error = error
    })
    this.#extract.on('drain', () => this.#wake())
    this.#extract.on('close', () => this.#wake())
  }

  async add(block: Uint8Array, where: string): Promise<Header | undefined> {
    const processed = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    // It keeps blocks of an extended header until it has them all.
    this.#extract.write(Buffer.from(block))
    await processed
    if (this.#error !== undefined) {
      throw new SnapError('E_FORMAT', `${where}: not a tar header`, { cause: this.#error })
    }
    return this.#header
  }

  close(): void {
    this.#extract.destroy()
  }
}

function checkHeader(header: Header, where: string): EntryHeader {
  const { name, size, mode } = header
  // The typings leave out that an unknown type is null.
  const type: Header['type'] | null = header.type
  const pax = paxOf(header)
  if (type !== 'file' && type !== 'directory') {
    throw invalid(where, `an entry of type ${type ?? 'unknown'}`)
  }
  const problem = problemOf(header, pax)
  if (problem !== undefined) throw invalid(where, problem)
  return { name, type, size, mtime: mtimeOf(header, pax), mode: mode & 0o7777 }
}

function problemOf(header: Header, pax: Readonly<Record<string, string>>): string | undefined {
  const { type, size } = header
  if (Object.keys(pax).some((key) => key.startsWith('GNU.sparse.'))) return 'a sparse file'
  if (!Number.isSafeInteger(size) || size < 0) return `size ${size}`
  // tar-stream takes the digits a size begins with.
  if (pax['size'] !== undefined && pax['size'] !== String(size)) return `size ${pax['size']}`
  if (type === 'directory' && size !== 0) return `a directory of ${size} bytes`
  if (Number.isNaN(mtimeOf(header, pax).getTime())) return 'a time out of range'
  return undefined
}

function mtimeOf(header: Header, pax: Readonly<Record<string, string>>): Date {
  const precise = Number(pax['mtime'] ?? Number.NaN)
  if (Number.isFinite(precise)) return new Date(precise * 1000)
  return header.mtime
}

function paxOf(header: Header): Readonly<Record<string, string>> {
  if (typeof header.pax !== 'object' || header.pax === null) return {}
  return Object.fromEntries(Object.entries(header.pax).map(([key, value]) => [key, String(value)]))
}

function invalid(where: string, what: string): SnapError {
  return new SnapError('E_FORMAT', `${where}: found ${what}`)
}

/**
 * Encodes the header of a file: one block, or with a PAX extended header if the name is not ASCII or too long, or
 * the time is past 2038. The time is written in whole seconds, as influxd does.
 */
export async function encodeHeader(header: Omit<EntryHeader, 'type'>): Promise<Uint8Array> {
  const seconds = Math.max(0, Math.floor(header.mtime.getTime() / 1000))
  const fields = {
    name: header.name,
    size: header.size,
    // The bit of a regular file, which is not written, keeps tar-stream from taking mode 0 for none.
    mode: header.mode | 0o100000,
    type: 'file',
    mtime: new Date(Math.min(seconds, MAX_FIELD_SECONDS) * 1000),
    ...(seconds > MAX_FIELD_SECONDS ? { pax: { mtime: String(seconds) } } : {}),
  } as const
  // tar-stream encodes; the body does not go through it, so that it is pulled and not pushed.
  const encoder = pack()
  encoder.on('error', () => {})
  encoder.entry(fields).on('error', () => {})
  await once(encoder, 'readable')
  const blocks: Uint8Array[] = []
  for (;;) {
    const block: unknown = encoder.read()
    if (!(block instanceof Uint8Array)) break
    blocks.push(block)
  }
  // It is left as it is, and holds nothing: destroyed before its end it would make errors, at the price of several headers.
  return Buffer.concat(blocks)
}
