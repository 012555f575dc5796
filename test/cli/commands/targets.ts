import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  directoryAt,
  makeDirectory,
  pointsOnDisk,
  type SampleDirectory,
} from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { expectCode } from './snap.ts'

/** A place for sets that is not there yet. */
export async function newTarget(): Promise<string> {
  return join(await tempDir('target'), 'sets')
}

/** Tells whether there is anything at a path. */
export async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}

/** A data directory that is yet to be made. */
export async function newDirectory(): Promise<SampleDirectory> {
  return directoryAt(join(await tempDir('restored'), 'influxdb'))
}

/** Makes a sample data directory and backs it up; returns where the set is. */
export async function backedUp(...words: string[]): Promise<string> {
  const target = await newTarget()
  await expectCode(0, 'backup', ...(await makeDirectory()).flags, ...words, target)
  return target
}

/** Restores a target's newest set into a fresh directory and returns the points that are there then. */
export async function restored(target: string, ...words: string[]): Promise<string[]> {
  const fresh = await newDirectory()
  await expectCode(0, 'restore', ...fresh.flags, ...words, target)
  return await pointsOnDisk(fresh)
}
