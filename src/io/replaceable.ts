import { lstat, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { errnoOf, SnapError } from '../errors.ts'
import { destinationError } from './durable.ts'

/** Links here are the system's own, `/dev/stdout` for one; elsewhere a link is replaced and what it leads to left alone. */
const SYSTEM = '/dev/'

/**
 * Makes sure that a file can be put under `path` by a rename without harm: nothing is there, or a file, or a link to one. For
 * root a rename would make a file of `/dev/null`, for everybody on the machine.
 * @param instead what the hint says to do
 * @throws SnapError `E_DESTINATION`
 */
export async function expectReplaceable(path: string, instead: string): Promise<void> {
  const what = await obstacleAt(path)
  if (what === undefined) return
  throw new SnapError('E_DESTINATION', `${path}: expected a file, got ${what}`, { hint: instead })
}

async function obstacleAt(path: string): Promise<string | undefined> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) return 'a directory'
    if (!found.isFile()) return 'a device or a pipe'
    const isLink = (await lstat(path)).isSymbolicLink()
    return isLink && resolve(path).startsWith(SYSTEM) ? 'a link of the system' : undefined
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw destinationError(error, path)
  }
}
