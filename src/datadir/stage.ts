import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapError } from '../errors.ts'
import { createFile, destinationError, type NewFile, writeFileSynced } from '../io/durable.ts'
import { fileAccess } from '../io/random-access.ts'
import { readAll } from '../io/spool.ts'
import { parseEntryName } from '../tar/names.ts'
import { readShardTar, type TarEntry } from '../tar/reader.ts'
import { checkTsm } from '../tsm/check-tsm.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import type { TsmSetOptions } from '../tsm/set-writer.ts'

import { decodeTombstones } from '../tsm/tombstone.ts'
import {
  type ShardLocation,
  STAGING_DIRECTORY,
  shardRelativePath,
  TSM_SUFFIX,
  tsmNameOf,
} from './layout.ts'
import { fileMode, giveTo, type Owner, ownerOf } from './owner.ts'

/** Where files are staged, and whose they are to be. */
export interface StagePlace {
  /** An empty directory on the file system of the shard. */
  readonly staging: string
  readonly owner: Owner
}

/** Writes files into a staging directory, each whole, checked and on the disk, and returns their names. */
export type Stage = (place: StagePlace) => Promise<readonly string[]>

/** Writes TSM files, each opened under its name. */
export type WriteFiles = (openFile: TsmSetOptions['open']) => Promise<void>

/** For which shard an upload is staged. */
export interface StageOptions extends StagePlace {
  readonly location: ShardLocation
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

/** Reads the index and every block: that checks its CRC. */
async function checkTsmFile(path: string): Promise<void> {
  const source = await fileAccess(path)
  try {
    await checkTsm(source, { points: false })
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
    const check = () => (name.endsWith(TSM_SUFFIX) ? checkTsmFile(path) : checkTombstones(path))
    await writeFileSynced(path, entry.body, { mode: fileMode(owner), signal, check })
    await giveTo(path, owner)
    names.push(name)
  }
  checkPairs(names)
  return names
}

/**
 * Stages the TSM files that `write` opens and closes, see {@link Stage}.
 * @throws SnapError `E_DESTINATION` if one cannot be written, and what `write` throws
 */
export async function stageFiles(
  write: WriteFiles,
  { staging, owner }: StagePlace,
): Promise<string[]> {
  const names: string[] = []
  const unfinished = new Set<NewFile>()
  try {
    await write(async (name) => {
      const path = join(staging, name)
      const file = await createFile(path, fileMode(owner))
      unfinished.add(file)
      const close = async () => {
        unfinished.delete(file)
        await file.close()
        await giveTo(path, owner)
        await checkTsmFile(path)
        names.push(name)
      }
      return { write: file.write, close }
    })
    return names
  } finally {
    for (const file of unfinished) await file.abandon()
  }
}

/**
 * Gives `work` the names of staged files and the directory they are in, which is made for it inside that of the shard and
 * removed in the end; what an earlier run left in it goes first.
 */
export async function withStaged(
  dataPath: string,
  stage: Stage,
  work: (names: readonly string[], staging: string) => Promise<void>,
): Promise<void> {
  const staging = join(dataPath, STAGING_DIRECTORY)
  const owner = await ownerOf(dataPath)
  const removeStaging = () => rm(staging, { recursive: true, force: true })
  try {
    await removeStaging()
    await mkdir(staging, { mode: 0o700 })
    await work(await stage({ staging, owner }), staging)
  } catch (error) {
    throw destinationError(error, dataPath)
  } finally {
    await removeStaging()
  }
}
