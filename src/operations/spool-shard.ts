import type { RandomAccess } from '../io/random-access.ts'
import { sliceAccess } from '../io/random-access.ts'
import { Spool } from '../io/spool.ts'
import { parseEntryName, type TarEntryInput } from '../tar/index.ts'
import type { ShardFiles } from './shard-source.ts'

const KINDS = /\.(?:tsm|tombstone)$/

/**
 * Keeps the TSM and tombstone files of a shard for reading anywhere: in memory while they are few and small, else in one
 * temporary file without a name.
 * @throws SnapError `E_DESTINATION` if the temporary directory is full, and whatever the entries throw
 */
export async function spoolShard(
  entries: AsyncIterable<Pick<TarEntryInput, 'name' | 'body'>>,
  tempDir: string,
): Promise<ShardFiles> {
  const spool = new Spool({ name: 'files of a shard', tempDir })
  const places = new Map<string, { readonly offset: number; readonly size: number }>()
  try {
    for await (const { name, body } of entries) {
      if (!KINDS.test(name)) continue
      const offset = spool.size
      for await (const chunk of body) await spool.write(chunk)
      places.set(name, { offset, size: spool.size - offset })
    }
    const whole = spool.access()
    const files = new Map<string, RandomAccess>()
    for (const [name, place] of places) {
      files.set(parseEntryName(name).file, sliceAccess(whole, place, name))
    }
    return { files, close: () => spool.close() }
  } catch (error) {
    await spool.close()
    throw error
  }
}
