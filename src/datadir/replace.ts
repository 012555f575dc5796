import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asSnapError, SnapError } from '../errors.ts'
import { fsyncDirectory, writeFileSynced } from '../io/durable.ts'
import { segmentNames } from '../wal/segment.ts'
import { dropIndex, type InstallTarget, placeFiles, planInstall } from './install.ts'
import { isDataName, namesIn, REPLACING_FILE, TSM_SUFFIX } from './layout.ts'
import { fileMode, giveTo, ownerOf } from './owner.ts'
import { readShardState } from './shard-state.ts'
import { type Stage, withStaged } from './stage.ts'

/** Which shard's files are replaced. */
export interface ReplaceTarget extends InstallTarget {
  /** The shard's WAL directory. */
  readonly walPath: string
  /** The state that the shard was in when its points were read, see {@link readShardState}. */
  readonly state: string
}

/**
 * Replaces all files of a shard that nothing else uses, its WAL among them, by files of newer generations that hold at
 * least the same points. The new ones are whole, checked, on the disk and in place before the first old one goes; where
 * it stops between the two, old values may still win over new ones, nothing is lost, and {@link REPLACING_FILE} says that
 * it is to be done again.
 * @throws SnapError what `stage` throws; `E_DESTINATION` if the shard has changed since it was read, or on failure
 */
export async function replaceShard(
  { dataPath, walPath, permit, state }: ReplaceTarget,
  stage: Stage,
): Promise<void> {
  await permit()
  await withStaged(dataPath, stage, async (names, staging) => {
    await permit()
    const now = await readShardState({ dataPath, walPath })
    if (now.state !== state) {
      throw new SnapError('E_DESTINATION', `${dataPath}: changed while it was read`, {
        hint: 'influxd must not run meanwhile',
      })
    }
    const old = (await namesIn(dataPath)).filter(isDataName)
    const segments = segmentNames(await namesIn(walPath))
    const plan = await planInstall(names, staging, dataPath)
    await mark(dataPath)
    await dropIndex(dataPath)
    await placeFiles(plan, staging, dataPath)
    await removeOld(old, segments, { dataPath, walPath })
    await removeAll(dataPath, [REPLACING_FILE])
  })
}

const NOTE = 'snap restore --merge was replacing the files of this shard: run it again\n'

async function mark(dataPath: string): Promise<void> {
  const path = join(dataPath, REPLACING_FILE)
  const owner = await ownerOf(dataPath)
  await writeFileSynced(path, Buffer.from(NOTE), { mode: fileMode(owner) })
  await giveTo(path, owner)
  await fsyncDirectory(dataPath)
}

/**
 * The WAL goes first, in its own order, as influxd removes it: what is left of it must not be older than what is gone. A
 * tombstone goes after its TSM file, or else deleted points would come back.
 */
async function removeOld(
  old: readonly string[],
  segments: readonly string[],
  { dataPath, walPath }: { readonly dataPath: string; readonly walPath: string },
): Promise<void> {
  const isTsm = (name: string) => name.endsWith(TSM_SUFFIX)
  for (const segment of segments) await removeAll(walPath, [segment])
  await removeAll(dataPath, old.filter(isTsm))
  await removeAll(
    dataPath,
    old.filter((name) => !isTsm(name)),
  )
}

/** Removes files for good. */
async function removeAll(directory: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  try {
    for (const name of names) await rm(join(directory, name), { force: true })
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', directory)
  }
  await fsyncDirectory(directory)
}
