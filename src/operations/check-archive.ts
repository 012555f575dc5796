import { recode, SnapError } from '../errors.ts'
import { Sha256 } from '../io/hash-worker.ts'
import { recycle } from '../io/recycled.ts'
import { LARGE_SPOOL_MEMORY } from '../io/spool.ts'
import type { Store } from '../storage/index.ts'
import { readShardTar } from '../tar/index.ts'
import { describeShard, type InspectedFile, inspectEntry, type ShardName } from './inspect.ts'
import type { ArchivePart } from './restorable.ts'
import type { ShardSums } from './shard-sums.ts'

/**
 * Compares a stored file with what its catalog says.
 * @throws SnapError `E_INTEGRITY`
 */
export async function checkStoredHash(
  store: Store,
  { name, stored }: Pick<ArchivePart, 'name' | 'stored'>,
  { signal, onBytes }: Pick<CheckOptions, 'signal' | 'onBytes'> = {},
): Promise<void> {
  if (stored === undefined) return
  const seen = new StoredHash()
  for await (const chunk of store.read(name, undefined, signal)) {
    await seen.update(chunk)
    onBytes?.(seen.size)
    recycle(chunk)
  }
  await seen.check(stored, `${store.url}: ${name}`)
}

/** Size and SHA-256 of a stored file that is read. */
export class StoredHash {
  readonly #hash = new Sha256()
  #size = 0

  /** Bytes so far. */
  get size(): number {
    return this.#size
  }

  /** Adds bytes, see {@link Sha256.update}. */
  async update(chunk: Uint8Array): Promise<void> {
    await this.#hash.update(chunk)
    this.#size += chunk.length
  }

  /** Compares all of it with what a catalog says. @throws SnapError `E_INTEGRITY` */
  async check(stored: NonNullable<ArchivePart['stored']>, name: string): Promise<void> {
    const found = { size: this.#size, sha256: await this.#hash.digest() }
    const difference = differenceFrom(stored, found)
    if (difference !== undefined) throw new SnapError('E_INTEGRITY', `${name}: ${difference}`)
  }
}

function differenceFrom(
  expected: NonNullable<ArchivePart['stored']>,
  { size, sha256 }: NonNullable<ArchivePart['stored']>,
): string | undefined {
  if (size !== expected.size) return `${size} bytes, expected ${expected.size}`
  if (sha256 === expected.sha256) return undefined
  return `sha256 ${brief(sha256)}, expected ${brief(expected.sha256)}`
}

/** Enough of a hash to tell two apart; a message with two whole ones is not read by anybody. */
function brief(sha256: string): string {
  return `${sha256.slice(0, 16)}...`
}

/** How an archive is checked. */
export interface CheckOptions {
  readonly tempDir: string
  /** Gets the points of its files; without it no block is decoded. */
  readonly sums?: ShardSums | undefined
  /** Told how many bytes were read so far: of the tar, or as they are stored where they are only hashed. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads an archive once, to its end, and checks all of it: gzip, tar, names, every TSM file with its index and the CRC of
 * each block, tombstones, the hash that its catalog has, and the size that the manifest says. Returns what is in it.
 * @throws SnapError `E_INTEGRITY` naming the archive, the shard and what is wrong
 */
export async function checkArchive(
  shard: ShardName,
  part: ArchivePart,
  { tempDir, sums, onBytes, signal }: CheckOptions,
): Promise<readonly InspectedFile[]> {
  const { name, tarSize, stored } = part
  const files: InspectedFile[] = []
  const tar = { size: 0 }
  const hash = new Sha256()
  let size = 0
  const onStored = async (chunk: Uint8Array) => {
    size += chunk.length
    if (stored !== undefined) await hash.update(chunk)
  }
  try {
    const how = { tempDir, memoryLimit: LARGE_SPOOL_MEMORY, sums, signal }
    const body = measured(part.open(signal, onStored), tar, onBytes)
    for await (const entry of readShardTar(body, { name, signal })) {
      files.push(await inspectEntry(entry, { shard, ...how }))
    }
    if (tarSize !== undefined && tarSize !== tar.size) {
      throw new SnapError('E_INTEGRITY', `a tar of ${tar.size} bytes, expected ${tarSize}`)
    }
    const difference = stored && differenceFrom(stored, { size, sha256: await hash.digest() })
    if (difference !== undefined) throw new SnapError('E_INTEGRITY', difference)
  } catch (error) {
    throw asDamage(error, shard, name)
  }
  return files
}

async function* measured(
  body: AsyncIterable<Uint8Array>,
  total: { size: number },
  onBytes: CheckOptions['onBytes'],
) {
  for await (const chunk of body) {
    total.size += chunk.length
    onBytes?.(total.size)
    yield chunk
  }
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
