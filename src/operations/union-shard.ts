import type { RandomAccess } from '../io/random-access.ts'
import { sliceAccess } from '../io/random-access.ts'
import { readAll, Spool } from '../io/spool.ts'
import { formatEntryName, parseEntryName, readShardTar, type TarEntryInput } from '../tar/index.ts'
import type { TsmSource } from '../tsm/align.ts'
import { mergeTsm } from '../tsm/merge.ts'
import { SpooledSet } from '../tsm/spooled-set.ts'
import { asDamage } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import type { ArchivePart, RestorableShard } from './restorable.ts'
import { sourcesOf } from './tsm-sources.ts'

/** What tells a file of an archive from all others of its shard: one that did not change has the same everywhere. */
export interface FileMark {
  readonly name: string
  readonly size: number
  readonly mtime: Date
}

/** Equal for files that are the same. */
export function markOf({ name, size, mtime }: FileMark): string {
  return `${parseEntryName(name).file} ${size} ${mtime.getTime()}`
}

/** The TSM files of several archives of one shard, in the order in which the last one wins. */
export interface OpenUnion {
  readonly sources: readonly TsmSource[]
  close(): Promise<void>
}

interface Place {
  readonly file: string
  /** 0 is the newest. */
  readonly age: number
  readonly offset: number
  readonly size: number
}

/**
 * Opens the files of several archives of a shard together. One that several hold unchanged is there once. Of those that have one name
 * and are not the same, as `-start` and `-end` make them, the one of the newer archive wins; the newest tombstone of a name
 * is of all of them.
 * @param parts newest first
 * @throws SnapError `E_INTEGRITY` naming the archive that is damaged
 */
export async function openUnion(
  shard: ShardName,
  parts: readonly ArchivePart[],
  { tempDir, signal }: { readonly tempDir: string; readonly signal?: AbortSignal | undefined },
): Promise<OpenUnion> {
  const spool = new Spool({ name: 'files of a shard', tempDir })
  try {
    const places: Place[] = []
    const seen = new Set<string>()
    for (const [age, part] of parts.entries()) {
      try {
        for await (const entry of readShardTar(part.open(signal), { name: part.name, signal })) {
          if (part.onlyTombstones && !entry.name.endsWith('.tombstone')) continue
          if (seen.has(markOf(entry))) continue
          seen.add(markOf(entry))
          const offset = spool.size
          for await (const chunk of entry.body) await spool.write(chunk)
          const { file } = parseEntryName(entry.name)
          places.push({ file, age, offset, size: spool.size - offset })
        }
      } catch (error) {
        throw asDamage(error, shard, part.name)
      }
    }
    const sources = await sourcesOf(arrange(places, spool.access(), parts.length))
    return { sources, close: () => spool.close() }
  } catch (error) {
    await spool.close()
    throw asDamage(error, shard, parts[0]?.name ?? '')
  }
}

/** Names files so that those of one name stand beside each other, the newest last, each with its tombstone. */
function arrange(
  places: readonly Place[],
  whole: RandomAccess,
  count: number,
): Map<string, RandomAccess> {
  const open = (place: Place) => sliceAccess(whole, place, place.file)
  const tombstones = new Map<string, RandomAccess>()
  for (const place of places) {
    const [, stem] = /^(.*)\.tombstone$/.exec(place.file) ?? []
    if (stem !== undefined && !tombstones.has(stem)) tombstones.set(stem, open(place))
  }
  const files = new Map<string, RandomAccess>()
  for (const place of places) {
    const [, stem] = /^(.*)\.tsm$/.exec(place.file) ?? []
    if (stem === undefined) continue
    const name = `${stem}.${String(count - place.age).padStart(9, '0')}`
    files.set(`${name}.tsm`, open(place))
    const tombstone = tombstones.get(stem)
    if (tombstone !== undefined) files.set(`${name}.tombstone`, tombstone)
  }
  return files
}

/**
 * Reads a shard of which several archives hold a part as one: all of their points in new files, each once, and of
 * points with equal times the newest. The same files each time.
 * @throws SnapError `E_INTEGRITY` naming the archive that is damaged
 */
export async function* unionEntries(
  shard: RestorableShard,
  tempDir: string,
  signal?: AbortSignal,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const { database, retentionPolicy, shardId } = shard
  const union = await openUnion(shard, shard.parts, { tempDir, signal })
  const merged = new SpooledSet({ generation: 1, tempDir })
  try {
    try {
      for await (const { key, blocks } of mergeTsm(union.sources)) {
        signal?.throwIfAborted()
        await merged.writeKey(key, blocks)
      }
    } catch (error) {
      throw asDamage(error, shard, shard.parts[0]?.name ?? '')
    }
    await union.close()
    for (const { name: file, source } of await merged.finish()) {
      const name = formatEntryName({ database, retentionPolicy, shardId, file })
      yield { name, size: source.size, mtime: new Date(0), body: readAll(source) }
    }
  } finally {
    await union.close()
    await merged.close()
  }
}
