import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { asSnapError, SnapError } from '../errors.ts'
import type { Store } from '../storage/index.ts'
import { guardDirectory } from './drill-guard.ts'
import type { RestorableShard } from './restorable.ts'

/** A directory that is gone when all is over. */
export interface Scratch {
  readonly path: string
  /** Removes it. */
  remove(): Promise<void>
  /** Lets it stay, from now on whatever happens. */
  keep(): void
}

/**
 * Makes a scratch directory. It is removed when this process ends in whatever way, unless it is to be kept.
 * @throws SnapError `E_DESTINATION`
 */
export async function makeScratch(tempDir: string): Promise<Scratch> {
  try {
    const path = await mkdtemp(join(tempDir, 'snap-drill-'))
    const release = guardDirectory(path)
    return {
      path,
      remove: async () => {
        await rm(path, { recursive: true, force: true })
        release()
      },
      keep: release,
    }
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', `scratch directory in ${tempDir}`)
  }
}

/** Shards that may have a copy of theirs at the same time: while they are compacted, or compared. */
const COPIES = 4

/** Returns the bytes that a drill may need: what is restored, and some copies of the largest shard. */
export async function spaceFor(shards: readonly RestorableShard[], store: Store): Promise<number> {
  let total = 0
  let largest = 0
  for (const { parts } of shards) {
    let size = 0
    for (const { name, tarSize } of parts) size += tarSize ?? (await store.stat(name))?.size ?? 0
    total += size
    largest = Math.max(largest, size)
  }
  return total + COPIES * largest
}

/**
 * Throws unless a directory's file system has so many bytes free.
 * @throws SnapError `E_DESTINATION`
 */
export async function checkSpace(directory: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory).catch((error: unknown) => {
    throw asSnapError(error, 'E_DESTINATION', directory)
  })
  const free = bavail * bsize
  if (free >= needed) return
  throw new SnapError(
    'E_DESTINATION',
    `${directory}: ${free} bytes free, a drill of this set may need ${needed}`,
    { hint: 'name a larger place with --temp-dir, or drill a part of the set with --db' },
  )
}
