import { createHash } from 'node:crypto'
import { lstat } from 'node:fs'
import { promisify } from 'node:util'
import { asSnapError, errnoOf } from '../errors.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { segmentNames } from '../wal/segment.ts'
import { namesIn, TOMBSTONE_SUFFIX, TSM_SUFFIX } from './layout.ts'
import type { ShardDirectories, ShardSnapshot, SnapshotFile } from './snapshot.ts'

/** Digests of which files a shard has, in hex (docs/protocol.md). */
export interface ShardState {
  /** Over names, sizes, inodes and both times of the files: equal ones are the same files, unchanged. */
  readonly state: string
  /** Over names and sizes alone: what stays when a directory is copied. */
  readonly shape: string
}

/** What of a file is in a state. Times in nanoseconds since the epoch. */
type StatedFile = Pick<SnapshotFile, 'name' | 'size' | 'mtime' | 'ctime' | 'inode'>

/** Returns the state that the files of a snapshot have. */
export function stateOf({ tsm, wal }: Pick<ShardSnapshot, 'tsm' | 'wal'>): ShardState {
  const data = tsm.flatMap(({ tombstone, ...file }) => (tombstone ? [file, tombstone] : [file]))
  return digest([...data, ...wal])
}

/**
 * Reads the state of a shard from its directories; nothing is opened. WAL segments are looked at first: whatever leaves
 * them after that is then seen as a new TSM file. A shard that changes meanwhile has a state that no snapshot had.
 */
export async function readShardState({ dataPath, walPath }: ShardDirectories): Promise<ShardState> {
  return digest(await statShard({ dataPath, walPath }))
}

/** Returns how many bytes the files of a shard are, WAL segments included; nothing is opened. */
export async function readShardSize(directories: ShardDirectories): Promise<number> {
  const files = await statShard(directories)
  return files.reduce((sum, { size }) => sum + Math.max(size, 0), 0)
}

/** Tells whether a shard is made of these files and no others, unchanged; nothing is opened. */
export async function areFiles(
  directories: ShardDirectories,
  files: readonly Pick<StatedFile, 'name' | 'size' | 'mtime' | 'inode'>[],
): Promise<boolean> {
  const found = (await statShard(directories)).filter((file) => !isEmptyWal(file))
  const expected = new Map(files.map((file) => [file.name, file]))
  const isExpected = ({ name, size, mtime, inode }: StatedFile) => {
    const file = expected.get(name)
    return file?.size === size && file.mtime === mtime && file.inode === inode
  }
  return found.length === files.length && found.every(isExpected)
}

async function statShard({ dataPath, walPath }: ShardDirectories): Promise<StatedFile[]> {
  const wal = await statAll(walPath, segmentNames(await namesIn(walPath)))
  const names = await namesIn(dataPath)
  const tsm = names.filter((name) => name.endsWith(TSM_SUFFIX))
  const known = new Set(tsm.length < names.length ? tsm.map(tombstoneFileName) : [])
  const tombstones = names.filter((name) => known.has(name))
  return [...(await statAll(dataPath, [...tsm, ...tombstones])), ...wal]
}

/** That of `node:fs/promises` costs half as much again for each call. */
const statExactly = promisify(lstat)

async function statAll(directory: string, names: readonly string[]): Promise<StatedFile[]> {
  const files: StatedFile[] = []
  for (const name of names) {
    const path = `${directory}/${name}`
    try {
      const { size, mtimeNs, ctimeNs, ino } = await statExactly(path, { bigint: true })
      files.push({ name, size: Number(size), mtime: mtimeNs, ctime: ctimeNs, inode: ino })
    } catch (error) {
      // A file that is gone since it was listed is one change more, as seen from any snapshot.
      if (errnoOf(error) !== 'ENOENT') throw asSnapError(error, 'E_SOURCE', path)
      files.push({ name, size: -1, mtime: 0n, ctime: 0n, inode: 0n })
    }
  }
  return files
}

/** influxd makes WAL segments before there is anything to write into them. */
const isEmptyWal = ({ name, size }: StatedFile) =>
  size === 0 && !name.endsWith(TSM_SUFFIX) && !name.endsWith(TOMBSTONE_SUFFIX)

function digest(all: readonly StatedFile[]): ShardState {
  const [state, shape] = [createHash('sha256'), createHash('sha256')]
  const files = all.filter((file) => !isEmptyWal(file))
  for (const file of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name, size, mtime, ctime, inode } = file
    shape.update(`${name}\0${size}\n`)
    state.update(`${name}\0${size}\0${mtime}\0${ctime}\0${inode}\n`)
  }
  return { state: state.digest('hex'), shape: shape.digest('hex') }
}
