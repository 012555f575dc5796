import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { SnapError } from '../errors.ts'
import { createFile, destinationError, type NewFile, writeFileSynced } from '../io/durable.ts'
import { fileAccess, type RandomAccess } from '../io/random-access.ts'
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

/** A file that goes into a shard. */
export interface NewShardFile {
  /** Its name inside the shard. */
  readonly name: string
  /** Bytes that `body` gives, no more and no fewer. */
  readonly size: number
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** For which shard an upload is staged. */
export interface StageOptions extends StagePlace {
  readonly location: ShardLocation
  readonly signal: AbortSignal
}

/** Returns the entry's file name in the shard, or throws: nothing of an upload is left out in silence. */
function fileNameOf(entry: TarEntry, location: ShardLocation): string {
  const { file, ...place } = parseEntryName(entry.name)
  const [got, expected] = [shardRelativePath(place), shardRelativePath(location)]
  if (got === expected) return file
  throw new SnapError('E_FORMAT', `${entry.name}: is for shard ${got}, expected ${expected}`)
}

/** A file that was staged and read back. */
export interface StagedFile {
  readonly name: string
  readonly size: number
  /** CRC-32 of what was read. */
  readonly crc: number
  /** Since when it is unchanged, ns since the epoch, and which file it is: it keeps both when it is moved. */
  readonly mtime: bigint
  readonly inode: bigint
}

/** Reads the index and every block: that checks its CRC. Returns that of all. */
async function checkTsmFile(source: RandomAccess): Promise<number> {
  const { crc } = await checkTsm(source, { points: false, crc: true })
  return crc ?? 0
}

async function checkTombstones(source: RandomAccess): Promise<number> {
  for await (const _ of decodeTombstones(readAll(source), source.name));
  let crc = 0
  for await (const chunk of readAll(source)) crc = crc32(chunk, crc)
  return crc
}

/** Reads a staged file, from before its first byte is read it is to stay as it is. */
async function checkFile(path: string, name: string): Promise<StagedFile> {
  const { mtimeNs: mtime, ino: inode } = await stat(path, { bigint: true })
  const source = await fileAccess(path)
  try {
    const check = path.endsWith(TSM_SUFFIX) ? checkTsmFile : checkTombstones
    return { name, size: source.size, crc: await check(source), mtime, inode }
  } finally {
    await source.close()
  }
}

/** Files of a shard that wait in a directory. */
export interface StagedFiles {
  readonly directory: string
  readonly files: readonly StagedFile[]
}

/**
 * Writes the files of one shard into a place for them alone, see {@link stageNewFiles}.
 * @throws SnapError as that; `E_DESTINATION` for all else that fails
 */
export async function stageInto(
  place: StagePlace,
  files: AsyncIterable<NewShardFile>,
  signal: AbortSignal,
): Promise<StagedFiles> {
  const { staging: directory } = place
  try {
    return { directory, files: await stageNewFiles(files, { ...place, signal }) }
  } catch (error) {
    throw destinationError(error, directory)
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
 * Writes files into the staging directory, each whole, checked and on the disk, with owner and mode of the shard. Returns what was
 * read back of them.
 * @throws SnapError `E_FORMAT` for anything but TSM and tombstone files, `E_CUT` or `E_FORMAT` for one of another size than it says, or one
 * that is damaged (`E_INTEGRITY` for a CRC); `E_DESTINATION` if one cannot be written; what `files` and their bodies throw
 */
export async function stageNewFiles(
  files: AsyncIterable<NewShardFile>,
  { staging, owner, signal }: StagePlace & { readonly signal: AbortSignal },
): Promise<StagedFile[]> {
  const staged = new Map<string, StagedFile>()
  for await (const { name, size, body } of files) {
    if (tsmNameOf(name) === undefined) {
      throw new SnapError('E_FORMAT', `${name}: expected a TSM or a tombstone file`)
    }
    if (staged.has(name)) throw new SnapError('E_FORMAT', `${name}: comes twice`)
    const path = join(staging, name)
    const check = async () => void staged.set(name, await checkFile(path, name))
    const options = { mode: fileMode(owner), signal, check }
    await writeFileSynced(path, ofSize(body, { name, size }), options)
    await giveTo(path, owner)
  }
  checkPairs([...staged.keys()])
  return [...staged.values()]
}

async function* ofSize(
  body: NewShardFile['body'],
  { name, size }: Pick<NewShardFile, 'name' | 'size'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let given = 0
  for await (const chunk of body) {
    given += chunk.length
    if (given > size) break
    yield chunk
  }
  if (given === size) return
  const [code, what] =
    given < size ? (['E_CUT', 'ends after'] as const) : (['E_FORMAT', 'at least'] as const)
  throw new SnapError(code, `${name}: ${what} ${given} bytes, expected ${size}`)
}

/**
 * Stages the files of a shard tar, see {@link stageNewFiles}.
 * @throws SnapError `E_CUT` or `E_FORMAT` if the tar is not whole, or of another shard, and what {@link stageNewFiles} throws
 */
export async function stageUpload(
  body: AsyncIterable<Uint8Array>,
  { location, ...place }: StageOptions,
): Promise<string[]> {
  const { shardId } = location
  const entries = readShardTar(body, { name: `upload to shard ${shardId}`, signal: place.signal })
  return await stageNamed(filesOf(entries, location), place)
}

/** As {@link stageNewFiles}, for whoever wants the names alone. */
export async function stageNamed(...args: Parameters<typeof stageNewFiles>): Promise<string[]> {
  return namesOf(await stageNewFiles(...args))
}

/** Returns the names of staged files. */
export function namesOf(files: readonly StagedFile[]): string[] {
  return files.map(({ name }) => name)
}

async function* filesOf(
  entries: AsyncIterable<TarEntry>,
  location: ShardLocation,
): AsyncGenerator<NewShardFile, void, undefined> {
  for await (const entry of entries) yield { ...entry, name: fileNameOf(entry, location) }
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
        await checkFile(path, name)
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
