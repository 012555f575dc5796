import { chmod, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asSnapError, SnapError } from '../errors.ts'
import { fsyncDirectory } from '../io/durable.ts'
import { fileAccess, type RandomAccess } from '../io/random-access.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { INDEX_DIRECTORY, namesIn, statIfThere, TSM_SUFFIX } from './layout.ts'
import type { Permit } from './meta-file.ts'
import { fileMode, giveTo, ownerOf } from './owner.ts'
import { namesOf, type Stage, type StagedFiles, withStaged } from './stage.ts'

/** What influxd keeps of a shard's fields, and from 1.9 of changes to them. It makes them anew from the TSM files. */
const FIELD_FILES = ['fields.idx', 'fields.idxl']

const COMPARED_BYTES = 1024 * 1024

/** Where files go. */
export interface InstallTarget {
  /** The shard's data directory, which is there. */
  readonly dataPath: string
  /** Asked before the first byte is staged, and again before anything is put in place. */
  readonly permit: Permit
}

async function isSameContent(left: RandomAccess, right: RandomAccess): Promise<boolean> {
  if (left.size !== right.size) return false
  for (let offset = 0; offset < left.size; offset += COMPARED_BYTES) {
    const length = Math.min(COMPARED_BYTES, left.size - offset)
    const parts = [await left.read(offset, length), await right.read(offset, length)] as const
    if (Buffer.compare(...parts) !== 0) return false
  }
  return true
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const left = await fileAccess(a)
  try {
    const right = await fileAccess(b)
    return await isSameContent(left, right).finally(() => right.close())
  } finally {
    await left.close()
  }
}

/** Says what the shard has under the name of a file that may be staged. */
async function compare(staged: string, installed: string): Promise<'free' | 'same' | 'other'> {
  const stats = await statIfThere(installed)
  if (stats === undefined) return 'free'
  if (!stats.isFile() || (await statIfThere(staged)) === undefined) return 'other'
  return (await isSameFile(staged, installed)) ? 'same' : 'other'
}

/**
 * Returns the staged files to put in place, each TSM file after its tombstones: should the machine stop between the two, no
 * deleted point comes back. A TSM file and its tombstones are one thing: the name must be free, or both stand there already,
 * byte for byte, as after an upload that is sent again. influxd would replace the file that is there.
 */
export async function planInstall(
  names: readonly string[],
  staging: string,
  dataPath: string,
): Promise<string[]> {
  const plan: string[] = []
  for (const name of names.filter((file) => file.endsWith(TSM_SUFFIX)).sort()) {
    const tombstone = tombstoneFileName(name)
    const isDeleted = names.includes(tombstone)
    const tsm = await compare(join(staging, name), join(dataPath, name))
    const deletes = await compare(join(staging, tombstone), join(dataPath, tombstone))
    if (tsm === 'free' && deletes !== 'other') {
      plan.push(...(isDeleted ? [tombstone, name] : [name]))
      continue
    }
    if (tsm === 'same' && deletes === (isDeleted ? 'same' : 'free')) continue
    const path = join(dataPath, tsm === 'other' ? name : tombstone)
    throw new SnapError('E_TARGET_EXISTS', `${path}: another file of that name is in the shard`, {
      hint: 'send the file under a generation that the shard does not use',
    })
  }
  return plan
}

/**
 * Takes away what influxd trusts instead of reading the TSM files: with it, fields and series that only new files have
 * would stay invisible. Only a shard with a tsi1 index has such a thing; the directory stays and says that it has one.
 */
export async function dropIndex(dataPath: string): Promise<void> {
  const index = join(dataPath, INDEX_DIRECTORY)
  if ((await statIfThere(index)) === undefined) return
  for (const name of FIELD_FILES) await rm(join(dataPath, name), { force: true })
  for (const name of await namesIn(index)) {
    await rm(join(index, name), { recursive: true, force: true })
  }
  await fsyncDirectory(index)
  await fsyncDirectory(dataPath)
}

/** Moves the planned files out of staging; if one cannot be moved, those that were are taken out again. */
export async function placeFiles(
  plan: readonly string[],
  staging: string,
  dataPath: string,
): Promise<void> {
  const placed: string[] = []
  try {
    for (const name of plan) {
      await rename(join(staging, name), join(dataPath, name))
      placed.push(join(dataPath, name))
    }
  } catch (error) {
    for (const path of placed.reverse()) await rm(path, { force: true })
    throw asSnapError(error, 'E_DESTINATION', `putting files in place in ${dataPath}`)
  }
  await fsyncDirectory(dataPath)
}

/**
 * Installs files into a shard that nothing else uses: all of them are staged inside the shard's directory, checked and on
 * the disk before the first is put in place. None changes nothing.
 * @throws SnapError what `stage` throws; `E_TARGET_EXISTS` if the shard has another file of the same name
 */
export async function installShard(target: InstallTarget, stage: Stage): Promise<void> {
  await target.permit()
  await withStaged(target.dataPath, stage, (names, staging) => putInPlace(target, names, staging))
}

/** As {@link installShard}, of files that are moved from where they were staged, elsewhere on the same file system. */
export async function installStaged(
  target: InstallTarget,
  { directory, files }: StagedFiles,
): Promise<void> {
  const names = namesOf(files)
  const owner = await ownerOf(target.dataPath)
  for (const name of names) {
    const path = join(directory, name)
    await chmod(path, fileMode(owner))
    await giveTo(path, owner)
  }
  await putInPlace(target, names, directory)
}

async function putInPlace(
  { dataPath, permit }: InstallTarget,
  names: readonly string[],
  staging: string,
): Promise<void> {
  const plan = await planInstall(names, staging, dataPath)
  await permit()
  if (plan.length > 0) await dropIndex(dataPath)
  await placeFiles(plan, staging, dataPath)
}
