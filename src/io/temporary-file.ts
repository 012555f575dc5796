import { randomUUID } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Files that are kept for whoever needs one next, how many bytes each may have, and for how many ms. */
const MOST_KEPT = 4
const LARGEST_KEPT = 64 * 1024 * 1024
const KEPT_MS = 500

/** A file without a name. It may have bytes of an earlier use behind those that are written. */
export interface TemporaryFile {
  readonly directory: string
  readonly handle: FileHandle
}

const kept: TemporaryFile[] = []
let timer: NodeJS.Timeout | undefined

/**
 * Opens a file in `directory` that has no name from the moment it is open, so that nothing is left behind whatever happens; one
 * that was given back, if there is one: to write over what the system has in memory of it takes half the time.
 */
export async function openTemporary(directory: string): Promise<TemporaryFile> {
  const at = kept.findIndex((file) => file.directory === directory)
  const [again] = at < 0 ? [] : kept.splice(at, 1)
  return again ?? { directory, handle: await openUnnamed(directory) }
}

/** Gives a file back of which the first `size` bytes were written, or closes it. */
export async function closeTemporary(file: TemporaryFile, size: number): Promise<void> {
  if (size > LARGEST_KEPT || kept.length >= MOST_KEPT) return await file.handle.close()
  kept.push(file)
  clearTimeout(timer)
  timer = setTimeout(closeKept, KEPT_MS)
  timer.unref()
}

function closeKept(): void {
  for (const { handle } of kept.splice(0)) handle.close().catch(() => {})
}

/** Makes a temporary file that has no name any more, to be read and written. */
export async function openUnnamed(directory: string): Promise<FileHandle> {
  const path = join(directory, `snap-${process.pid}-${randomUUID()}.tmp`)
  const handle = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}
