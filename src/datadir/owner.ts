import type { Stats } from 'node:fs'
import { chmod, chown, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asSnapError, SnapError } from '../errors.ts'
import { fsyncDirectory } from '../io/durable.ts'
import { checkDirectory, statIfThere } from './layout.ts'

/** Whose new files and directories are, and who may read them: as the directory they belong to. */
export interface Owner {
  readonly uid: number
  readonly gid: number
  /** Permission bits of a directory; a file gets those of them that are not for entering. */
  readonly mode: number
}

const PERMISSIONS = 0o777
const FILE_PERMISSIONS = 0o666

function ownerFrom({ uid, gid, mode }: Stats): Owner {
  return { uid, gid, mode: mode & PERMISSIONS }
}

/** Returns the owner and mode of the directory `path`, which must be there. */
export async function ownerOf(path: string): Promise<Owner> {
  try {
    return ownerFrom(await stat(path))
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}

/**
 * Gives `path`, made by this process, to `owner`. influxd must be able to read and replace what is restored for it.
 * @throws SnapError `E_DESTINATION` if this user may not give files away
 */
export async function giveTo(path: string, owner: Owner): Promise<void> {
  try {
    const { uid, gid } = await stat(path)
    if (uid === owner.uid && gid === owner.gid) return
    await chown(path, owner.uid, owner.gid)
  } catch (error) {
    throw new SnapError(
      'E_DESTINATION',
      `${path}: cannot be given to its directory's owner, uid ${owner.uid} gid ${owner.gid}`,
      { cause: error, hint: 'run snap as that user or as root' },
    )
  }
}

/** Returns the mode of a file that belongs to `owner`. */
export function fileMode(owner: Owner): number {
  return owner.mode & FILE_PERMISSIONS
}

async function makeDirectory(path: string, owner: Owner): Promise<void> {
  try {
    await mkdir(path, { mode: owner.mode })
    await chmod(path, owner.mode)
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', path)
  }
  await giveTo(path, owner)
  await fsyncDirectory(dirname(path))
}

/**
 * Returns the directory `parts` below `root`, making what is missing, each with the owner and mode of `root`, and
 * lasting through a power failure.
 * @throws SnapError `E_SOURCE` if a part is there and no directory, `E_DESTINATION` if one cannot be made
 */
export async function makeDirectoryInside(root: string, parts: readonly string[]): Promise<string> {
  const owner = await ownerOf(root)
  let path = root
  for (const part of parts) {
    path = join(path, part)
    const stats = await statIfThere(path)
    if (stats === undefined) await makeDirectory(path, owner)
    else checkDirectory(stats, path)
  }
  return path
}
