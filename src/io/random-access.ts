import { readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { SnapError } from '../errors.ts'
import { readSome } from './file-calls.ts'

/** Where all threads of a process find some bytes: at the beginning of memory that they share, or of an open file. */
export type SharedPlace = { readonly memory: SharedArrayBuffer } | { readonly fd: number }

/** Bytes that can be read anywhere: a file, a buffer, a range of an object. */
export interface RandomAccess {
  /** What it is, for messages: a path or an entry name. */
  readonly name: string
  /** Size in bytes. */
  readonly size: number
  /**
   * Reads exactly `length` bytes at `offset`. The caller owns the result.
   * @throws SnapError `E_FORMAT` if the range is not inside the bytes
   */
  read(offset: number, length: number): Promise<Uint8Array>
  /** Fills `bytes`, which stay the caller's, from `offset` on. Files have it, and archives. @throws SnapError as {@link read} */
  readInto?(bytes: Uint8Array, offset: number): Promise<void>
  /** Where another thread finds them until they are closed; not there if it cannot. */
  readonly place?: SharedPlace | undefined
  /** Releases what is held. May be called twice. */
  close(): Promise<void>
}

function checkRange(source: RandomAccess, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return
  throw new SnapError(
    'E_FORMAT',
    `${source.name}: ${length} bytes at offset ${offset} are not inside its ${source.size} bytes`,
  )
}

/** Returns random access over `bytes`; reads are views over them. */
export function bytesAccess(bytes: Uint8Array, name: string): RandomAccess {
  const { buffer, byteOffset } = bytes
  const isShared = buffer instanceof SharedArrayBuffer && byteOffset === 0
  const source: RandomAccess = {
    name,
    size: bytes.length,
    async read(offset, length) {
      checkRange(source, offset, length)
      return bytes.subarray(offset, offset + length)
    },
    ...(isShared && { place: { memory: buffer } }),
    async close() {},
  }
  return source
}

/** Bytes of a file: they can be read into memory that is there. */
export type FileAccess = RandomAccess & Required<Pick<RandomAccess, 'readInto'>>

/** Returns random access over the first `size` bytes of an open file; `close` closes `handle`. */
export function handleAccess(handle: FileHandle, name: string, size: number): FileAccess {
  const read = (bytes: Uint8Array, offset: number) => readSome(handle, bytes, offset)
  const close = () => handle.close()
  return { ...filledAccess(read, name, size), place: { fd: handle.fd }, close }
}

/** Returns random access over the first `size` bytes of what another thread has; nothing is closed. The thread waits for a file. */
export function placeAccess(place: SharedPlace, name: string, size: number): RandomAccess {
  if ('memory' in place) return bytesAccess(new Uint8Array(place.memory, 0, size), name)
  const { fd } = place
  const read = (bytes: Uint8Array, offset: number) => readSync(fd, bytes, 0, bytes.length, offset)
  return filledAccess(read, name, size)
}

/** Returns random access over what `read` reads at an offset, as many bytes as it likes, none at the end. */
function filledAccess(
  read: (bytes: Uint8Array, offset: number) => Promise<number> | number,
  name: string,
  size: number,
): FileAccess {
  const readInto = async (bytes: Uint8Array, offset: number) => {
    checkRange(source, offset, bytes.length)
    for (let filled = 0; filled < bytes.length; ) {
      const count = await read(bytes.subarray(filled), offset + filled)
      if (count === 0) {
        throw new SnapError(
          'E_FORMAT',
          `${name}: ends at ${offset + filled}, expected ${size} bytes`,
        )
      }
      filled += count
    }
  }
  const source: FileAccess = {
    name,
    size,
    async read(offset, length) {
      checkRange(source, offset, length)
      const bytes = Buffer.allocUnsafe(length)
      await readInto(bytes, offset)
      return bytes
    },
    readInto,
    async close() {},
  }
  return source
}

/** Returns random access to a part of `source`, which stays open when the part is closed. */
export function sliceAccess(
  source: RandomAccess,
  { offset, size }: { readonly offset: number; readonly size: number },
  name: string,
): RandomAccess {
  checkRange(source, offset, size)
  const readInto = source.readInto?.bind(source)
  const slice: RandomAccess = {
    name,
    size,
    async read(at, length) {
      checkRange(slice, at, length)
      return await source.read(offset + at, length)
    },
    ...(readInto && {
      async readInto(bytes, at) {
        checkRange(slice, at, bytes.length)
        await readInto(bytes, offset + at)
      },
    }),
    async close() {},
  }
  return slice
}

/** Opens `path` for random access at the size it has now. */
export async function fileAccess(path: string): Promise<RandomAccess> {
  const handle = await open(path, 'r')
  try {
    return handleAccess(handle, path, (await handle.stat()).size)
  } catch (error) {
    await handle.close()
    throw error
  }
}
