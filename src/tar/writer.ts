import { SnapError } from '../errors.ts'
import { encodeHeader, paddingOf, TRAILER_SIZE } from './header.ts'
import { parseEntryName } from './names.ts'

/** A file to put into a shard tar. */
export interface TarEntryInput {
  /** As {@link formatEntryName} makes it. */
  readonly name: string
  /** Bytes that `body` gives, no more and no fewer. */
  readonly size: number
  /** Written in whole seconds. */
  readonly mtime: Date
  /** Permission bits. Default 0644. */
  readonly mode?: number | undefined
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/**
 * Writes a shard tar: each entry as it is pulled, then exactly 1,024 zero bytes. Body chunks are passed on, not copied.
 * Whatever fails, no trailer is written, so that what was sent cannot be taken for a whole tar.
 * @throws SnapError `E_CUT` if a body is shorter than its size, `E_FORMAT` if it is longer, or a name is not a shard's or
 * comes twice
 */
export async function* packShardTar(
  entries: AsyncIterable<TarEntryInput> | Iterable<TarEntryInput>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const names = new Set<string>()
  // What follows a body goes out with the next header: each chunk is a way of its own through a connection.
  let padding = 0
  for await (const entry of entries) {
    const { name, size, mtime, mode = 0o644 } = entry
    parseEntryName(name)
    if (names.has(name)) throw new SnapError('E_FORMAT', `shard tar: entry ${name} comes twice`)
    names.add(name)
    const header = await encodeHeader({ name, size, mtime, mode })
    yield padding === 0 ? header : Buffer.concat([Buffer.alloc(padding), header])
    let written = 0
    for await (const chunk of entry.body) {
      written += chunk.length
      if (written > size) throw tooLong(entry, written)
      if (chunk.length > 0) yield chunk
    }
    if (written < size) throw tooShort(entry, written)
    padding = paddingOf(size)
  }
  yield new Uint8Array(padding + TRAILER_SIZE)
}

function tooLong({ name, size }: TarEntryInput, written: number): SnapError {
  return new SnapError(
    'E_FORMAT',
    `shard tar: entry ${name}: longer than its size, expected ${size} bytes, got at least ${written}`,
  )
}

function tooShort({ name, size }: TarEntryInput, written: number): SnapError {
  return new SnapError(
    'E_CUT',
    `shard tar: entry ${name}: shorter than its size, expected ${size} bytes, got ${written}`,
  )
}
