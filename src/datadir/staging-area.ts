import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { destinationError } from '../io/durable.ts'
import { isAbandonedName, temporaryName } from '../io/process-owner.ts'
import type { DataDirectoryPaths } from './config.ts'
import { permitWhileUnused } from './guard.ts'
import { namesIn } from './layout.ts'
import { MetaFile } from './meta-file.ts'
import { giveTo, ownerOf } from './owner.ts'
import { makeRoot, unmakeRoot } from './roots.ts'
import type { StagePlace } from './stage.ts'

/** Where the files of several shards wait, on the file system that they are for, until all of them are known to be right. */
export interface StagingArea {
  /**
   * Makes a place for the files of one shard.
   * @param name of nothing else that is staged here
   */
  makePlace(name: string): Promise<StagePlace>
  /** Removes what is left of it, and directories that were made for it and that nobody uses. */
  close(): Promise<void>
}

/**
 * Makes a directory for files inside a data directory; what is missing of that and of the others is made. It needs no lock: its
 * name says whose it is, so that one of a process that is gone is removed here, and where the data directory is opened for writing.
 * influxd takes it for a database that is in no metastore and has no shards: it shows nothing of it, and puts an empty `_series` there.
 * @throws SnapError `E_DESTINATION` if somebody else uses the directories, or it cannot be made
 */
export async function openStagingArea(
  paths: DataDirectoryPaths,
  influxdIsStopped: boolean,
): Promise<StagingArea> {
  const { dataDir, walDir, metaDir } = paths
  const directories = [dataDir, walDir, metaDir]
  const permit = permitWhileUnused(directories, influxdIsStopped)
  await permit()
  const made: string[][] = []
  const area = join(dataDir, temporaryName())
  const unmake = async () => {
    if (await new MetaFile(metaDir, permit).isThere()) return
    for (const paths of made.toReversed()) await unmakeRoot(paths)
  }
  try {
    // All of them: a data directory alone would be taken for one whose others are elsewhere.
    for (const path of directories) made.push(await makeRoot(path))
    for (const name of (await namesIn(dataDir)).filter(isAbandonedName)) {
      await rm(join(dataDir, name), { recursive: true, force: true })
    }
    const owner = await ownerOf(dataDir)
    // influxd, which may be another user, does not start beside what it cannot enter.
    const makeDirectory = async (path: string) => {
      await mkdir(path, { mode: 0o700 })
      await giveTo(path, owner)
    }
    await makeDirectory(area)
    return {
      async makePlace(name) {
        const staging = join(area, name)
        try {
          await makeDirectory(staging)
          return { staging, owner }
        } catch (error) {
          throw destinationError(error, staging)
        }
      },
      async close() {
        await rm(area, { recursive: true, force: true }).catch((error: unknown) => {
          throw destinationError(error, area)
        })
        await unmake()
      },
    }
  } catch (error) {
    await rm(area, { recursive: true, force: true }).catch(() => {})
    await unmake()
    throw destinationError(error, area)
  }
}
