import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { link, lstat, open, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { EarlySync } from './early-sync.ts'
import { LargeFile } from './large-file.ts'
import { once } from './once.ts'
import { PENDING_SUFFIX } from './pending.ts'
import { temporaryName } from './process-owner.ts'

/** Mode of every file unless a caller says otherwise: backups hold password hashes. */
const PRIVATE = 0o600

/** What may be said about a file to be written. */
export interface WriteOptions {
  /** Permission bits, set whatever the umask is. Default 0600. */
  readonly mode?: number | undefined
  /** Ends the wait for the next chunk; what was written is removed. */
  readonly signal?: AbortSignal | undefined
  /** Looks at the file while the disk takes it in; if it throws, the file is removed. */
  readonly check?: (() => Promise<void>) | undefined
}

/** Returns a failed file operation as `E_DESTINATION` with the path and the system's text. */
export function destinationError(error: unknown, path: string): SnapError {
  if (error instanceof SnapError) return error
  const full = errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT'
  return new SnapError('E_DESTINATION', `${path}: ${messageOf(error)}`, {
    cause: error,
    hint: full ? 'free some space there or choose another place' : undefined,
  })
}

async function atDestination<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw destinationError(error, path)
  }
}

/** Errors with which file systems say that a directory cannot be synced, which is then theirs to know. */
const NO_DIRECTORY_SYNC = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'EISDIR', 'EPERM', 'EBADF'])

/**
 * Makes names made, renamed or removed in the directory `path` last through a power failure.
 * @throws SnapError `E_DESTINATION`
 */
export async function fsyncDirectory(path: string): Promise<void> {
  await atDestination(path, async () => {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } catch (error) {
      if (!NO_DIRECTORY_SYNC.has(errnoOf(error) ?? '')) throw error
    } finally {
      await handle.close()
    }
  })
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    done += (await handle.write(chunk, done)).bytesWritten
  }
}

/** The next result of `iterator`, or the reason of `signal`, whichever comes first. */
function nextOrAborted<T>(
  iterator: AsyncIterator<T>,
  signal: AbortSignal,
): Promise<IteratorResult<T>> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
    iterator
      .next()
      .finally(() => signal.removeEventListener('abort', onAbort))
      .then(resolve, reject)
  })
}

/** Yields from `body` until `signal` ends it, also while the next chunk does not come. */
export async function* untilAborted<T>(
  body: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T> {
  const iterator = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      signal.throwIfAborted()
      const result = await nextOrAborted(iterator, signal)
      if (result.done === true) return
      yield result.value
    }
  } finally {
    const returned = Promise.resolve(iterator.return?.()).catch(() => {})
    // A generator that waits for its next chunk would answer only when that has come.
    if (!signal.aborted) await returned
  }
}

/** Waits until both have ended, however, and throws what the first of them that failed did. */
async function bothOf(first: Promise<void>, second: Promise<void> | undefined): Promise<void> {
  const failed = (await Promise.allSettled([first, second])).find(
    (result) => result.status === 'rejected',
  )
  if (failed !== undefined) throw failed.reason
}

/**
 * Writes `body` to `path`, replacing what is there, and returns once all of it is on the disk, with the size in bytes.
 * A symbolic link at `path` is not followed. On any failure the file is removed; errors of `body` and
 * the reason of `signal` pass unchanged, as do those of `check`.
 * @throws SnapError `E_DESTINATION` with the path and the system's text
 */
export async function writeFileSynced(
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  { mode = PRIVATE, signal = new AbortController().signal, check }: WriteOptions = {},
): Promise<number> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW = 0 } = constants
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
  const handle = await atDestination(path, () => open(path, flags, mode))
  try {
    const file = new LargeFile(handle, check && Number.POSITIVE_INFINITY)
    const early = new EarlySync(handle)
    try {
      await atDestination(path, () => handle.chmod(mode))
      const chunks = body instanceof Uint8Array ? once(body) : body
      for await (const chunk of untilAborted(chunks, signal)) {
        await atDestination(path, () => file.write(chunk))
        early.wrote(file.size)
      }
      await atDestination(path, () => file.flush())
      await bothOf(
        atDestination(path, () => early.end().then(() => handle.sync())),
        check?.(),
      )
    } finally {
      await early.settled()
      await atDestination(path, () => file.close().finally(() => handle.close()))
    }
    return file.size
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

/** A file that is written bit by bit. */
export interface NewFile {
  readonly write: (chunk: Uint8Array) => Promise<void>
  /** Returns once all of it is on the disk. */
  readonly close: () => Promise<void>
  /** Lets go of it as it is. */
  readonly abandon: () => Promise<void>
}

/**
 * Makes the new file `path` with the permission bits `mode`, whatever the umask is.
 * @throws SnapError `E_DESTINATION` with the path and the system's text, as its methods do
 */
export async function createFile(path: string, mode: number): Promise<NewFile> {
  const handle = await atDestination(path, () => open(path, 'wx', mode))
  const closing = (work: () => Promise<void>) =>
    atDestination(path, () => work().finally(() => handle.close()))
  return {
    write: (chunk) => atDestination(path, () => writeAll(handle, chunk)),
    close: () =>
      closing(async () => {
        await handle.chmod(mode)
        await handle.sync()
      }),
    abandon: () => atDestination(path, () => handle.close()),
  }
}

/**
 * Writes a whole file under `path` or leaves what is there: the bytes go to `pending`, are synced, renamed over
 * `path`, and the directory is synced. Returns the size in bytes.
 * @param pending in the same directory; default `<path>.pending`, which a later run for the same file overwrites
 * @throws SnapError `E_DESTINATION`
 */
export async function writeFileDurably(
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  options: WriteOptions & { readonly pending?: string } = {},
): Promise<number> {
  const { pending = path + PENDING_SUFFIX } = options
  const size = await writeFileSynced(pending, body, options)
  try {
    await atDestination(path, () => rename(pending, path))
  } catch (error) {
    await rm(pending, { force: true })
    throw error
  }
  await fsyncDirectory(dirname(path))
  return size
}

/** Errors of `link` on file systems without hard links. */
const NO_HARD_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

async function moveUnlessThere(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!NO_HARD_LINKS.has(errnoOf(error) ?? '')) throw error
    if (await isThere(to)) throw existsError(to, error)
    await rename(from, to)
    return
  }
  await unlink(from)
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

function existsError(path: string, cause: unknown): SnapError {
  return new SnapError('E_TARGET_EXISTS', `${path} is there already`, { cause })
}

/**
 * Gives the file `from` its final name `to` in the same directory, never over a file that is there, and syncs the
 * directory. Where there are no hard links a file that appears at `to` in the same instant may be replaced.
 * @throws SnapError `E_TARGET_EXISTS` if `to` is there, else `E_DESTINATION`
 */
export async function publishFile(from: string, to: string): Promise<void> {
  try {
    await moveUnlessThere(from, to)
  } catch (error) {
    throw errnoOf(error) === 'EEXIST' ? existsError(to, error) : destinationError(error, to)
  }
  await fsyncDirectory(dirname(to))
}

/** Makes the new file `path`, with `text` in it on the disk. */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Makes a file with `text` in it that nobody else has made: true if it is ours, false if something has the name. It is there
 * with its text or not at all, but where there are no hard links.
 * @throws SnapError `E_DESTINATION`
 */
export async function createExclusively(
  path: string,
  { text = '', mode = PRIVATE }: { readonly text?: string; readonly mode?: number } = {},
): Promise<boolean> {
  const temporary = join(dirname(path), temporaryName())
  try {
    await writeNew(temporary, text, mode)
    await link(temporary, path).catch(async (error: unknown) => {
      if (!NO_HARD_LINKS.has(errnoOf(error) ?? '')) throw error
      await writeNew(path, text, mode)
    })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw destinationError(error, path)
  } finally {
    // Where it could not be made it cannot be removed either.
    await rm(temporary, { force: true }).catch(() => {})
  }
}
