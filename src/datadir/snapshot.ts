import { SnapError } from '../errors.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { segmentNames } from '../wal/segment.ts'
import { changeTime, GONE, HeldFiles, type SnapshotFile } from './held-files.ts'
import { isDataName, namesIn, TSM_SUFFIX, tsmNameOf } from './layout.ts'

export type { SnapshotFile } from './held-files.ts'

/** A TSM file of a snapshot with the tombstones that are for it alone. */
export interface SnapshotTsm extends SnapshotFile {
  readonly tombstone?: SnapshotFile | undefined
}

/** All files of a shard at one time, open: they can be read whatever influxd does with their names. */
export interface ShardSnapshot {
  /** In the order of their names, which is that of their writing. */
  readonly tsm: readonly SnapshotTsm[]
  /** WAL segments in the order of writing; the last one may end in the middle of an entry. */
  readonly wal: readonly SnapshotFile[]
  /**
   * True if all of it is from one instant. False if the cache was flushed meanwhile, each time it was tried: everything
   * acknowledged before is there, but an overwritten point may have its older value.
   */
  readonly exact: boolean
  /** Closes the files. May be called twice. */
  close(): Promise<void>
}

/** The two directories of a shard. */
export interface ShardDirectories {
  readonly dataPath: string
  readonly walPath: string
}

/** Snapshots taken for the sake of an exact one. */
const EXACT_ATTEMPTS = 10

/** Snapshots begun before giving up: influxd would have to change the shard without a pause. */
const MAX_ATTEMPTS = 1000

/** Files looked at together. */
const AT_ONCE = 32

/** Listings of the data directory before the whole snapshot is begun anew. */
const MAX_PASSES = 100

async function listData(directory: string): Promise<string[]> {
  const names = (await namesIn(directory)).filter(isDataName)
  for (const name of names) {
    if (tsmNameOf(name) !== undefined) continue
    throw new SnapError('E_SOURCE', `${directory}/${name}: not the name of a TSM file`, {
      hint: 'influxd does not open a shard with such a file in it; move it away',
    })
  }
  return names
}

/** Opens all WAL segments there are; false if one vanished meanwhile. */
async function holdWal(wal: HeldFiles, directory: string): Promise<boolean> {
  for (const name of segmentNames(await namesIn(directory))) {
    if ((await wal.open(name)) === GONE) return false
  }
  return true
}

/** Does `work` for some items at a time; when one fails, those begun with it are waited for. */
async function forEachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>) {
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const results = await Promise.allSettled(items.slice(at, at + AT_ONCE).map(work))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

/** Lists the data directory once and holds what it lists; true if nothing had changed since it was held. */
async function pass(data: HeldFiles, directory: string): Promise<boolean> {
  const before = await changeTime(directory)
  if (before === undefined) throw new SnapError('E_SOURCE', `${directory}: the shard is gone`)
  const listed = new Set(await listData(directory))
  let isUnchanged = true
  for (const name of data.names.filter((held) => !listed.has(held))) {
    isUnchanged = false
    await data.close(name)
  }
  await forEachAtOnce([...listed], async (name) => {
    if (await data.isCurrent(name)) return
    isUnchanged = false
    await data.open(name)
  })
  return isUnchanged && (await changeTime(directory)) === before
}

async function holdData(data: HeldFiles, directory: string, signal: AbortSignal): Promise<boolean> {
  for (let passes = 0; passes < MAX_PASSES; passes++) {
    signal.throwIfAborted()
    if (await pass(data, directory)) return true
  }
  return false
}

/** Takes one snapshot; `undefined` if it has to be begun anew. */
async function attempt(
  { dataPath, walPath }: ShardDirectories,
  signal: AbortSignal,
): Promise<ShardSnapshot | undefined> {
  const [wal, data] = [new HeldFiles(walPath), new HeldFiles(dataPath)]
  const close = async () => {
    await wal.closeAll()
    await data.closeAll()
  }
  try {
    const isWhole = (await holdWal(wal, walPath)) && (await holdData(data, dataPath, signal))
    if (!isWhole) {
      await close()
      return undefined
    }
    // The sizes of WAL segments are those of now: what was appended after the TSM files were held is a matter of the
    // WAL alone, as long as none of it went into a TSM file.
    await wal.look()
    const stillNamed = await Promise.all(wal.names.map((name) => wal.isNamed(name)))
    const files = data.files()
    const tombstones = new Map(files.map((file) => [file.name, file]))
    const tsm = files
      .filter(({ name }) => name.endsWith(TSM_SUFFIX))
      .map((file) => ({ ...file, tombstone: tombstones.get(tombstoneFileName(file.name)) }))
    return { tsm, wal: wal.files(), exact: stillNamed.every(Boolean), close }
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * Takes a snapshot of a shard that influxd may be writing at the same time: nothing is created, nothing locked. WAL
 * segments are opened first, then TSM and tombstone files until two listings agree, so that whatever leaves the WAL
 * meanwhile is held there or found as a TSM file (docs/formats/data-directory.md).
 * @throws SnapError `E_SOURCE` if files cannot be opened, or the directory never rests
 */
export async function openSnapshot(
  directories: ShardDirectories,
  signal: AbortSignal,
): Promise<ShardSnapshot> {
  let complete = 0
  for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts++) {
    signal.throwIfAborted()
    const snapshot = await attempt(directories, signal)
    if (snapshot === undefined) continue
    if (snapshot.exact || ++complete >= EXACT_ATTEMPTS) return snapshot
    await snapshot.close()
  }
  throw new SnapError(
    'E_SOURCE',
    `${directories.dataPath}: changed in each of ${MAX_ATTEMPTS} attempts`,
    {
      retryable: true,
    },
  )
}
