/** Somewhere in the bytes of one direction of a connection. */
export interface Place {
  readonly name: string
  /** The offset in these bytes. */
  readonly at: (bytes: Uint8Array) => number
}

const BLOCK = 512
const TRAILER = 2 * BLOCK

const place = (name: string, at: Place['at']): Place => ({ name, at })

const FIRST = place('before the first byte', () => 0)
const LAST = place('before the last byte', ({ length }) => length - 1)
/** All bytes have passed: what breaks now may or may not be noticed. */
export const AFTER = place('after the last byte', ({ length }) => length)

/** The places of a shard's tar, of the bytes before `from` aside. */
export function tarPlaces(from = 0): readonly Place[] {
  const inside = (name: string, at: (entries: TarPlace[], length: number) => number) =>
    place(name, (bytes) => from + at(tarEntries(bytes.subarray(from)), bytes.length - from))
  const end = (name: string, back: number) => place(name, ({ length }) => length - back)
  return [
    FIRST,
    inside('in a header', () => 100),
    inside('after a header', () => BLOCK),
    inside('in a body', ([first]) => middleOf(first)),
    inside('before the padding', ([first]) => (first ? first.body + first.size : 0)),
    inside("at an entry's end", ([, second], length) => second?.header ?? length - TRAILER),
    inside('in the last body', (entries) => middleOf(entries.at(-1))),
    end('before the trailer', TRAILER),
    end('in the trailer', TRAILER - 100),
    end('within the trailer', BLOCK),
    LAST,
  ]
}

/** The places of a request, a frame, a list: its ends, its middle, and after some counts of bytes. */
export function plainPlaces(...counts: readonly number[]): readonly Place[] {
  const middle = place('in the middle', ({ length }) => Math.floor(length / 2))
  return [FIRST, ...counts.map((count) => place(`after ${count} bytes`, () => count)), middle, LAST]
}

/** A file in a tar: where its header and its body begin. */
export interface TarPlace {
  readonly name: string
  readonly header: number
  readonly body: number
  readonly size: number
}

/** Reads where the files of a tar stand; plain ustar, as influxd and snap write it for short names. */
export function tarEntries(tar: Uint8Array): TarPlace[] {
  const bytes = Buffer.from(tar.buffer, tar.byteOffset, tar.byteLength)
  const entries: TarPlace[] = []
  for (let at = 0; at < bytes.length - TRAILER; ) {
    const name = bytes.toString('latin1', at, bytes.indexOf(0, at))
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 135), 8)
    entries.push({ name, header: at, body: at + BLOCK, size })
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return entries
}

function middleOf(entry: TarPlace | undefined): number {
  return entry ? entry.body + Math.floor(entry.size / 2) : 0
}
