import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { errnoOf, SnapError } from '../errors.ts'
import type { BackupPlace } from './open-source.ts'
import { schemeOf } from './open-store.ts'
import type { ServerPlace } from './server.ts'

/**
 * Refuses to write a backup into the directories that it is made from: influxd would take it for a database, or remove
 * it with one, and it would be lost together with what it is a copy of.
 * @param target a path or a URL; another server's directories are not known here
 * @throws SnapError `E_USAGE`
 */
export async function refuseInside(
  place: ServerPlace | BackupPlace,
  target: string,
): Promise<void> {
  if (!('directory' in place) || schemeOf(target) !== undefined) return
  const { resolveDataDirectory } = await import('../datadir/index.ts')
  const { isInside } = await import('../datadir/layout.ts')
  const { dataDir, walDir, metaDir } = await resolveDataDirectory(place.directory)
  const real = await realPathOf(resolve(target))
  for (const directory of [dataDir, walDir, metaDir]) {
    if (!isInside(await realPathOf(directory), real)) continue
    throw new SnapError('E_USAGE', `${target} is inside ${directory}, which is to be backed up`, {
      hint: 'name a place outside of the directories of influxd, best on another disk',
    })
  }
}

/** The path without symbolic links, as far as it is there. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    const parent = dirname(path)
    if (errnoOf(error) !== 'ENOENT' || parent === path) return path
    return join(await realPathOf(parent), basename(path))
  }
}
