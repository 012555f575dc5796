import { randomUUID } from 'node:crypto'
import { readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import { createExclusively } from '../io/durable.ts'
import { isGone, ownerSchema, thisProcess } from '../io/process-owner.ts'

/**
 * The lock file in each of the three directories. influxd steps over files where it looks for databases, and looks for
 * nothing else beside `meta.db`.
 */
export const LOCK_FILE = '.snap.lock'

/** Who holds a lock. */
const holderSchema = v.object({ id: v.string(), ...ownerSchema.entries })

type Holder = v.InferOutput<typeof holderSchema>

/** A lock that is held. */
export interface DirectoryLock {
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

/**
 * Removes the lock file of a process that is gone. Only who made the takeover file may remove a lock that is not its own, and
 * looks again first: else two that found the same stale lock could remove each other's new one.
 */
async function removeStale(path: string, stale: Holder): Promise<void> {
  const takeover = `${path}.takeover`
  if (!(await createExclusively(takeover))) throw locked(takeover, undefined)
  try {
    if ((await readHolder(path))?.id === stale.id) await unlink(path)
  } finally {
    await unlink(takeover)
  }
}

function locked(path: string, holder: Holder | undefined): SnapError {
  const who = holder === undefined ? 'another snap' : `process ${holder.pid} on ${holder.host}`
  return new SnapError('E_LOCKED', `${path}: locked by ${who}`, {
    hint: 'wait for it to end; if no snap is running here, remove that file',
    retryable: true,
  })
}

async function lockFile(path: string, self: Holder): Promise<void> {
  const text = JSON.stringify(self)
  if (await createExclusively(path, { text })) return
  const holder = await readHolder(path)
  if (holder === undefined || !isGone(holder)) throw locked(path, holder)
  await removeStale(path, holder)
  if (!(await createExclusively(path, { text }))) throw locked(path, await readHolder(path))
}

async function unlockFile(path: string, self: Holder): Promise<void> {
  if ((await readHolder(path))?.id === self.id) await unlink(path)
}

/**
 * Takes {@link LOCK_FILE} in each of `directories`, all or none, so that two snaps never change the same ones. A lock whose
 * process ended without letting go is taken over, if it ran on this machine and in this PID namespace.
 * @throws SnapError `E_LOCKED` if another process holds one, `E_DESTINATION` if one cannot be made
 */
export async function lockDirectories(directories: readonly string[]): Promise<DirectoryLock> {
  const self = { id: randomUUID(), ...thisProcess() }
  const held: string[] = []
  const release = async () => {
    for (const path of held.splice(0)) await unlockFile(path, self)
  }
  try {
    for (const directory of new Set(directories)) {
      const path = join(directory, LOCK_FILE)
      await lockFile(path, self)
      held.push(path)
    }
  } catch (error) {
    await release()
    throw error
  }
  return { release }
}
