import { readdir as readdirBack, type Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { parseTsmFileName } from '../tsm/file-name.ts'

/** Where a shard stands: `<database>/<retention policy>/<shard id>` below the data and the WAL directory. */
export interface ShardLocation {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

/** The directory of a database's series file; it stands where policies stand and is none. */
const SERIES_DIRECTORY = '_series'

/** The directory of a shard's tsi1 index. A shard without one is opened with the inmem index. */
export const INDEX_DIRECTORY = 'index'

/**
 * Where an upload stands in a shard's directory until all of it is there and checked. influxd removes directories whose
 * names end so when it opens the shard, and reads nothing in them.
 */
export const STAGING_DIRECTORY = 'snap-restore.tmp'

/**
 * Stands in a shard's directory while its files are being replaced: some of the old ones may still be there beside the new ones.
 * influxd knows nothing of it.
 */
export const REPLACING_FILE = 'snap-restore.pending'

/** Ends the names of TSM files. */
export const TSM_SUFFIX = '.tsm'

/** Ends the names of tombstone files; what comes before is the name of their TSM file without its suffix. */
export const TOMBSTONE_SUFFIX = '.tombstone'

/** True for what a TSM or tombstone file may be called. */
export function isDataName(name: string): boolean {
  return name.endsWith(TSM_SUFFIX) || name.endsWith(TOMBSTONE_SUFFIX)
}

const SHARD_NAME = /^(0|[1-9][0-9]{0,19})$/

/**
 * Returns the name of the TSM file that `name` is or, as a tombstone file, belongs to; `undefined` if it is neither.
 * influxd refuses to open a shard with a name ending in `.tsm` that it cannot parse.
 */
export function tsmNameOf(name: string): string | undefined {
  const tsm = name.endsWith(TOMBSTONE_SUFFIX)
    ? name.slice(0, -TOMBSTONE_SUFFIX.length) + TSM_SUFFIX
    : name
  return parseTsmFileName(tsm) === undefined ? undefined : tsm
}

/** Returns the parts of a shard's path, checked: each of them can only name a directory in its parent. */
export function shardParts(location: ShardLocation): string[] {
  const { database, retentionPolicy, shardId } = location
  for (const name of [database, retentionPolicy]) {
    if (name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)) continue
    throw new SnapError('E_FORMAT', `${JSON.stringify(name)} cannot name a directory`)
  }
  if (retentionPolicy === SERIES_DIRECTORY) {
    throw new SnapError('E_FORMAT', `${SERIES_DIRECTORY} cannot name a retention policy`)
  }
  return [database, retentionPolicy, String(shardId)]
}

/** Returns a shard's path as it stands in archives and answers: `db/rp/id`, always with `/`. */
export function shardRelativePath(location: ShardLocation): string {
  return shardParts(location).join('/')
}

/** Like `lstat`, but `undefined` if there is nothing. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw asSnapError(error, 'E_SOURCE', path)
  }
}

/** Those of `node:fs/promises` cost half as much again for each call, and shards are many. */
const readNames = promisify(readdirBack)

/** Lists a directory; one that is not there has nothing in it. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readNames(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw asSnapError(error, 'E_SOURCE', directory)
  }
}

/** Throws unless `stats` is a real directory: a symbolic link below a root would lead out of it. */
export function checkDirectory(stats: Stats, path: string): void {
  if (stats.isDirectory()) return
  const found = stats.isSymbolicLink() ? 'a symbolic link' : 'something else'
  throw new SnapError('E_SOURCE', `${path}: expected a directory, got ${found}`, {
    hint: 'mount or bind the real directory there, or give the resolved directory as the root',
  })
}

/**
 * Returns the path of the directory `parts` below `root`, or `undefined` if it is not there. `root` itself may be
 * reached through symbolic links, nothing below it may be one.
 * @throws SnapError `E_SOURCE` if a part is no directory, or leads elsewhere
 */
export async function directoryInside(
  root: string,
  parts: readonly string[],
): Promise<string | undefined> {
  let path = root
  for (const part of parts) {
    path = join(path, part)
    const stats = await statIfThere(path)
    if (stats === undefined) return undefined
    checkDirectory(stats, path)
  }
  return path
}

async function directoriesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}

/**
 * Lists the shards on disk as influxd finds them at its start: real directories named by a number, in those of a policy,
 * in those of a database. Other names are no shards.
 */
export async function listShardDirectories(dataDir: string): Promise<ShardLocation[]> {
  const found: ShardLocation[] = []
  try {
    for (const database of await directoriesIn(dataDir)) {
      for (const retentionPolicy of await directoriesIn(join(dataDir, database))) {
        if (retentionPolicy === SERIES_DIRECTORY) continue
        for (const name of await directoriesIn(join(dataDir, database, retentionPolicy))) {
          if (!SHARD_NAME.test(name)) continue
          found.push({ database, retentionPolicy, shardId: BigInt(name) })
        }
      }
    }
  } catch (error) {
    throw asSnapError(error, 'E_SOURCE', `listing ${dataDir}`)
  }
  return found
}

/** True if `path` is `root` or below it; both absolute. */
export function isInside(root: string, path: string): boolean {
  const way = relative(root, path)
  return way === '' || !(way === '..' || way.startsWith('../'))
}
