import type { RandomAccess } from '../io/random-access.ts'
import { readAll } from '../io/spool.ts'
import type { TsmSource } from '../tsm/align.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { openTsm } from '../tsm/reader.ts'
import { readTombstones } from '../tsm/tombstone-set.ts'

/** Bytes that are read ahead over all files of a shard, and the least and the most in each. */
const READ_AHEAD = 8 * 1024 * 1024
const MIN_READ_AHEAD = 64 * 1024
const MAX_READ_AHEAD = 1024 * 1024

/**
 * Opens TSM files with their tombstones, in the order of their names, in which influxd lets the last one win.
 * @param files by name; whatever is neither TSM nor tombstone is passed over
 * @throws SnapError `E_FORMAT` if one is damaged
 */
export async function sourcesOf(files: ReadonlyMap<string, RandomAccess>): Promise<TsmSource[]> {
  const names = [...files.keys()].filter((name) => name.endsWith('.tsm')).sort()
  const share = Math.floor(READ_AHEAD / Math.max(1, names.length))
  const readAhead = Math.max(MIN_READ_AHEAD, Math.min(MAX_READ_AHEAD, share))
  const sources: TsmSource[] = []
  for (const name of names) {
    const access = files.get(name)
    const deleted = files.get(tombstoneFileName(name))
    if (access === undefined) continue
    const tombstones = deleted && (await readTombstones(readAll(deleted), deleted.name))
    sources.push({ file: await openTsm(access, readAhead), tombstones })
  }
  return sources
}
