import { join } from 'node:path'
import { SnapError } from '../errors.ts'
import { writeFileSynced } from '../io/durable.ts'
import { fileAccess } from '../io/random-access.ts'
import { readAll } from '../io/spool.ts'
import { parseEntryName } from '../tar/names.ts'
import { readShardTar, type TarEntry } from '../tar/reader.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { openTsm } from '../tsm/reader.ts'
import { decodeTombstones } from '../tsm/tombstone.ts'
import { type ShardLocation, shardRelativePath, TSM_SUFFIX, tsmNameOf } from './layout.ts'
import { fileMode, giveTo, type Owner } from './owner.ts'

/** Where and for whom an upload is staged. */
export interface StageOptions {
  readonly location: ShardLocation
  /** An empty directory on the file system of the shard. */
  readonly staging: string
  readonly owner: Owner
  readonly signal: AbortSignal
}

/** Returns the entry's file name in the shard, or throws: nothing of an upload is left out in silence. */
function fileNameOf(entry: TarEntry, location: ShardLocation): string {
  const { file, ...place } = parseEntryName(entry.name)
  const [got, expected] = [shardRelativePath(place), shardRelativePath(location)]
  if (got !== expected) {
    throw new SnapError('E_FORMAT', `${entry.name}: is for shard ${got}, expected ${expected}`)
  }
  if (tsmNameOf(file) !== undefined) return file
  throw new SnapError('E_FORMAT', `${entry.name}: expected a TSM or a tombstone file`)
}

async function checkTsm(path: string): Promise<void> {
  const source = await fileAccess(path)
  try {
    // Reading a block checks its CRC.
    for await (const _ of (await openTsm(source)).blocks());
  } finally {
    await source.close()
  }
}

async function checkTombstones(path: string): Promise<void> {
  const file = await fileAccess(path)
  try {
    for await (const _ of decodeTombstones(readAll(file), path));
  } finally {
    await file.close()
  }
}

/** A tombstone file without its TSM file would delete nothing, or the points of a later file of that name. */
function checkPairs(names: readonly string[]): void {
  const expected = new Set(names.filter((name) => name.endsWith(TSM_SUFFIX)).map(tombstoneFileName))
  for (const name of names) {
    if (name.endsWith(TSM_SUFFIX) || expected.has(name)) continue
    throw new SnapError('E_FORMAT', `${name}: its TSM file is not in the upload`)
  }
}

/**
 * Writes the files of a shard tar into the staging directory, each whole, checked and on the disk, with owner and mode
 * of the shard. Returns their names.
 * @throws SnapError `E_CUT` or `E_FORMAT` if the tar is not whole, holds anything but the shard's TSM and tombstone files,
 * or one of them is damaged (`E_INTEGRITY` for a CRC); `E_DESTINATION` if one cannot be written
 */
export async function stageUpload(
  body: AsyncIterable<Uint8Array>,
  { location, staging, owner, signal }: StageOptions,
): Promise<string[]> {
  const names: string[] = []
  const what = `upload to shard ${location.shardId}`
  for await (const entry of readShardTar(body, { name: what, signal })) {
    const name = fileNameOf(entry, location)
    const path = join(staging, name)
    await writeFileSynced(path, entry.body, { mode: fileMode(owner), signal })
    await giveTo(path, owner)
    if (name.endsWith(TSM_SUFFIX)) await checkTsm(path)
    else await checkTombstones(path)
    names.push(name)
  }
  checkPairs(names)
  return names
}
