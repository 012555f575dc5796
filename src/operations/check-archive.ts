import { createHash } from 'node:crypto'
import { recode, SnapError } from '../errors.ts'
import type { Store } from '../storage/index.ts'
import { readShardTar } from '../tar/index.ts'
import { describeShard, type InspectedFile, inspectEntry, type ShardName } from './inspect.ts'
import type { ArchivePart, RestorableShard } from './restorable.ts'

/**
 * Compares a stored file with what its catalog says.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkStoredHash(
  store: Store,
  { name, stored }: Pick<ArchivePart, 'name' | 'stored'>,
  signal?: AbortSignal,
): Promise<void> {
  if (stored === undefined) return
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of store.read(name, undefined, signal)) {
    hash.update(chunk)
    size += chunk.length
  }
  const sha256 = hash.digest('hex')
  if (sha256 === stored.sha256 && size === stored.size) return
  throw new SnapError(
    'E_INTEGRITY',
    size === stored.size
      ? `${store.url}: ${name}: sha256 ${brief(sha256)}, expected ${brief(stored.sha256)}`
      : `${store.url}: ${name}: ${size} bytes, expected ${stored.size}`,
  )
}

/** Enough of a hash to tell two apart; a message with two whole ones is not read by anybody. */
function brief(sha256: string): string {
  return `${sha256.slice(0, 16)}...`
}

/**
 * Reads an archive to its end and checks all of it: gzip, tar, names, every TSM file with its index and the CRC of each
 * block, tombstones, and the size that the manifest says. Returns what is in it.
 * @throws SnapError `E_INTEGRITY` naming the archive, the shard and what is wrong
 */
export async function checkArchive(
  shard: RestorableShard,
  part: ArchivePart,
  { tempDir, signal }: { readonly tempDir: string; readonly signal?: AbortSignal | undefined },
): Promise<readonly InspectedFile[]> {
  const { name, tarSize } = part
  const files: InspectedFile[] = []
  let size = 0
  const measured = async function* () {
    for await (const chunk of part.open(signal)) {
      size += chunk.length
      yield chunk
    }
  }
  try {
    for await (const entry of readShardTar(measured(), { name, signal })) {
      files.push(await inspectEntry(entry, { shard, tempDir }))
    }
    if (tarSize !== undefined && tarSize !== size) {
      throw new SnapError('E_INTEGRITY', `${name}: a tar of ${size} bytes, expected ${tarSize}`)
    }
  } catch (error) {
    throw asDamage(error, shard, name)
  }
  return files
}

/**
 * Gives an error met while reading a stored archive the code and the words of stored damage.
 * @param shard the shard in it, if that is known
 */
export function asDamage(error: unknown, shard: ShardName | undefined, name: string): unknown {
  if (!(error instanceof SnapError)) return error
  if (!['E_CUT', 'E_FORMAT', 'E_INTEGRITY'].includes(error.code)) return error
  const of = shard === undefined ? '' : ` (shard ${describeShard(shard)})`
  return recode(error, 'E_INTEGRITY', error.message.startsWith(name) ? '' : `${name}${of}: `)
}
