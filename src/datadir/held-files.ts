import type { BigIntStats } from 'node:fs'
import { constants, lstat as lstatBack } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { handleAccess } from '../io/random-access.ts'

/** A file of a snapshot: open, whatever becomes of its name. */
export interface SnapshotFile {
  readonly name: string
  /** Bytes that belong to the snapshot. */
  readonly size: number
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  /** When its inode was changed last, nanoseconds since the epoch; nobody can set it. */
  readonly ctime: bigint
  readonly inode: bigint
  /** Reads the first `size` bytes; closing it is for the snapshot. */
  readonly access: RandomAccess
}

interface Held {
  readonly handle: FileHandle
  /** As it was when it was looked at last. */
  readonly stats: BigIntStats
}

/** That of `node:fs/promises` costs half as much again for each call. */
const lstat = promisify(lstatBack)

/** Nothing has this name now. */
export const GONE = Symbol('gone')

/** True if both are of the same file, unchanged. */
function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs
}

/** Runs a file operation; `GONE` if the file is not there. */
async function unlessGone<T>(path: string, work: () => Promise<T>): Promise<T | typeof GONE> {
  try {
    return await work()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return GONE
    if (errno === 'ELOOP' || errno === 'ENXIO') throw notFile(path)
    if (errno === 'EMFILE' || errno === 'ENFILE') {
      throw new SnapError('E_SOURCE', `${path}: too many files are open`, {
        cause: error,
        hint: 'raise the limit of open files (ulimit -n) to twice the number of files in the shard',
      })
    }
    throw asSnapError(error, 'E_SOURCE', path)
  }
}

/** Returns the time of the last change of names in `directory`, in nanoseconds; `undefined` if it is not there. */
export async function changeTime(directory: string): Promise<bigint | undefined> {
  const stats = await unlessGone(directory, () => stat(directory, { bigint: true }))
  return stats === GONE ? undefined : stats.mtimeNs
}

/** Nothing but a file is opened for reading: no link is followed, and no writer of a pipe waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

function notFile(path: string): SnapError {
  return new SnapError('E_SOURCE', `${path}: expected a file, got something else`)
}

/** Open files of one directory by name. */
export class HeldFiles {
  readonly #directory: string
  readonly #held = new Map<string, Held>()

  constructor(directory: string) {
    this.#directory = directory
  }

  get names(): string[] {
    return [...this.#held.keys()].sort()
  }

  /** Opens the file that is now called `name`. @returns GONE if there is none */
  async open(name: string): Promise<undefined | typeof GONE> {
    const path = join(this.#directory, name)
    const handle = await unlessGone(path, () => open(path, FLAGS))
    if (handle === GONE) return GONE
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile()) throw notFile(path)
      await this.close(name)
      this.#held.set(name, { handle, stats })
      return undefined
    } finally {
      if (this.#held.get(name)?.handle !== handle) await handle.close()
    }
  }

  /** True if the file now called `name` is the one held under that name, as it was when opened. */
  async isCurrent(name: string): Promise<boolean> {
    const held = this.#held.get(name)
    if (held === undefined) return false
    const path = join(this.#directory, name)
    const listed = await unlessGone(path, () => lstat(path, { bigint: true }))
    if (listed === GONE || !isSame(held.stats, listed)) return false
    this.#held.set(name, { ...held, stats: listed })
    return true
  }

  /** True if the file held under that name still has it, however it grew. */
  async isNamed(name: string): Promise<boolean> {
    const path = join(this.#directory, name)
    const listed = await unlessGone(path, () => lstat(path, { bigint: true }))
    return listed !== GONE && listed.ino === this.#held.get(name)?.stats.ino
  }

  /** Returns the files held, in the order of their names, as they were when they were looked at last. */
  files(): SnapshotFile[] {
    return this.names.flatMap((name) => {
      const held = this.#held.get(name)
      return held === undefined ? [] : [this.#file(name, held)]
    })
  }

  /** Looks at all files that are held, which may have grown. */
  async look(): Promise<void> {
    for (const [name, { handle }] of this.#held) {
      this.#held.set(name, { handle, stats: await handle.stat({ bigint: true }) })
    }
  }

  #file(name: string, { handle, stats }: Held): SnapshotFile {
    const path = join(this.#directory, name)
    const { size, mtimeNs, ctimeNs, ino } = stats
    const access = handleAccess(handle, path, Number(size))
    return {
      ...{ name, size: Number(size), mtime: mtimeNs, ctime: ctimeNs, inode: ino },
      access: { ...access, async close() {} },
    }
  }

  async close(name: string): Promise<void> {
    const held = this.#held.get(name)
    this.#held.delete(name)
    await held?.handle.close()
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.names.map((name) => this.close(name)))
  }
}
