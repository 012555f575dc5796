import { randomUUID } from 'node:crypto'
import { readdir, readFile, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import { createExclusively } from '../io/durable.ts'
import { isAbandonedName, isGone, ownerSchema, thisProcess } from '../io/process-owner.ts'

/**
 * The lock file in each of the three directories. influxd steps over files where it looks for databases, and looks for
 * nothing else beside `meta.db`.
 */
export const LOCK_FILE = '.snap.lock'

/** Ends the names of files that keep two processes from taking over one lock. */
const TAKEOVER_SUFFIX = '.takeover'

/** Who holds a lock. The id becomes part of a file name. */
const holderSchema = v.object({
  id: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/)),
  ...ownerSchema.entries,
})

type Holder = v.InferOutput<typeof holderSchema>

/** A lock that is held. */
export interface FileLock {
  /** Lets go. May be called twice. */
  release(): Promise<void>
}

/** Returns who holds the lock, or `undefined` if there is none, or nobody that can be told. */
async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  try {
    return v.parse(holderSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

function locked(path: string, holder: Holder | undefined): SnapError {
  const who = holder === undefined ? 'another snap' : `process ${holder.pid} on ${holder.host}`
  return new SnapError('E_LOCKED', `${path}: locked by ${who}`, {
    hint: 'wait for it to end; if no snap is running here, remove that file',
    retryable: true,
  })
}

/** So many processes in a row may have been killed while they took over from each other. */
const MAX_TAKEOVERS = 32

/** Makes the file `path` as `self`, after that of a process that is gone was removed. */
async function take(path: string, self: Holder, depth = 0): Promise<void> {
  const text = JSON.stringify(self)
  if (await createExclusively(path, { text })) return
  const holder = await readHolder(path)
  if (holder === undefined || !isGone(holder) || depth === MAX_TAKEOVERS) {
    throw locked(path, holder)
  }
  await removeStale(path, { stale: holder, self, depth })
  if (!(await createExclusively(path, { text }))) throw locked(path, await readHolder(path))
}

/**
 * Removes the file of a process that is gone. Only who has the takeover file may remove one that is not its own, and looks
 * again first: else two that found the same stale lock could remove each other's new one. The takeover file is named by the
 * stale holder, so one that was left itself holds up nobody: it is taken over in the same way.
 */
async function removeStale(
  path: string,
  { stale, self, depth }: { stale: Holder; self: Holder; depth: number },
): Promise<void> {
  const takeover = join(dirname(path), `${LOCK_FILE}.${stale.id}${TAKEOVER_SUFFIX}`)
  await take(takeover, self, depth + 1)
  try {
    await removeOf(stale.id, path)
  } finally {
    await removeOf(self.id, takeover)
  }
}

/** Removes the file if the holder in it is that one. */
async function removeOf(id: string, path: string): Promise<void> {
  if ((await readHolder(path))?.id === id) await unlink(path)
}

/** Removes what processes that are gone have left of taking the lock, which is held, or of staging: nothing of it has a use any more. */
async function removeRemains(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    const isTakeover = name.startsWith(`${LOCK_FILE}.`) && name.endsWith(TAKEOVER_SUFFIX)
    const holder = isTakeover ? await readHolder(path) : undefined
    const isLeft = holder === undefined ? isAbandonedName(name) : isGone(holder)
    if (isLeft) await rm(path, { recursive: true, force: true })
  }
}

/**
 * Takes {@link LOCK_FILE} in each of `directories`, all or none, so that two snaps never change the same ones.
 * @throws SnapError as {@link lockFiles}
 */
export async function lockDirectories(directories: readonly string[]): Promise<FileLock> {
  return await lockFiles(directories.map((directory) => join(directory, LOCK_FILE)))
}

/**
 * Makes the lock files `paths`, all or none. A lock whose process ended without letting go is taken over, if it ran on this
 * machine and in this PID namespace.
 * @throws SnapError `E_LOCKED` if another process holds one, `E_DESTINATION` if one cannot be made
 */
export async function lockFiles(paths: readonly string[]): Promise<FileLock> {
  const self = { id: randomUUID(), ...thisProcess() }
  const held: string[] = []
  const release = async () => {
    for (const path of held.splice(0)) await removeOf(self.id, path)
  }
  try {
    for (const path of new Set(paths)) {
      await take(path, self)
      held.push(path)
      await removeRemains(dirname(path))
    }
  } catch (error) {
    await release()
    throw error
  }
  return { release }
}
