import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type PathOptions, resolveDataDirectory } from '../datadir/index.ts'
import { listShardDirectories, shardRelativePath } from '../datadir/layout.ts'
import { asSnapError, errnoOf } from '../errors.ts'

/** What can be read. */
export interface Readable {
  readonly directories: number
  readonly files: number
}

/**
 * Opens every file of every shard, data and WAL, for reading, and closes it. What influxd removes meanwhile is passed over.
 * @throws SnapError `E_SOURCE` that names the first that cannot be opened
 */
export async function checkReadable(options: PathOptions, signal: AbortSignal): Promise<Readable> {
  const { dataDir, walDir } = await resolveDataDirectory(options)
  const shards = await listShardDirectories(dataDir)
  let files = 0
  for (const shard of shards) {
    for (const root of [dataDir, walDir]) {
      signal.throwIfAborted()
      files += await openAll(join(root, shardRelativePath(shard)))
    }
  }
  return { directories: shards.length, files }
}

async function openAll(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) =>
    passGone(error, directory, []),
  )
  let count = 0
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const path = join(directory, entry.name)
    const handle = await open(path, 'r').catch((error: unknown) => passGone(error, path, undefined))
    await handle?.close()
    count++
  }
  return count
}

function passGone<T>(error: unknown, path: string, instead: T): T {
  if (errnoOf(error) === 'ENOENT') return instead
  throw asSnapError(error, 'E_SOURCE', path)
}
