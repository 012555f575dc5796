import type { BackupSet } from '../portable/backup-set.ts'
import type { ManifestEntry } from '../portable/manifest.ts'
import { parseFileName, parseSetName } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import { readShardTar } from '../tar/index.ts'
import { asDamage } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import { proveSuperseded } from './prove-superseded.ts'
import { type ArchivePart, archivePart, shardOf } from './restorable.ts'
import { type FileMark, markOf } from './union-shard.ts'

/** What older sets of influxd count for beside the newest. Left out, the archives themselves decide. */
export type ChainChoice = 'union' | 'newest'

/** How the sets of influxd in a place are looked at. */
export interface ChainOptions {
  readonly choice?: ChainChoice | undefined
  /** Shards that are wanted; others are not looked at. */
  readonly isWanted: (shard: ShardName) => boolean
  readonly tempDir: string
  /** What is known of the older sets of the place, where several are looked at, oldest first. */
  readonly memory?: ChainMemory | undefined
  readonly signal?: AbortSignal | undefined
}

/** What was found out of archives that were looked at. */
export interface ChainMemory {
  /** What is in an archive, by its name. */
  readonly files: Map<string, readonly FileMark[]>
  /** The names of those beside which nothing older counts. */
  readonly whole: Set<string>
}

/** The archives of shards of which the newest is not all there is, newest first: one or more. */
export type ChainParts = ReadonlyMap<bigint, readonly ArchivePart[]>

/** An archive with what is in it. */
interface Link {
  readonly set: string
  readonly part: ArchivePart
  readonly files: readonly FileMark[]
}

/**
 * Finds the shards of a set of influxd of which its own archive is not all there is, because influxd was asked for what is new
 * (`-since`) or of a time (`-start`, `-end`): nothing in the set says so, its files do (docs/restore.md, "Chains of influxd").
 * @throws SnapError `E_INTEGRITY` naming an archive that is damaged
 */
export async function findChain(
  store: Store,
  backup: BackupSet,
  options: ChainOptions,
): Promise<ChainParts> {
  const { choice, isWanted } = options
  const found = new Map<bigint, readonly ArchivePart[]>()
  if (backup.kind !== 'stock' || choice === 'newest') return found
  const links = await readLinks(store, backup, options)
  const oldest = oldestOf(links)
  for (const entry of backup.entries) {
    const shard = shardOf(entry)
    const archives = links.get(shard.shardId) ?? []
    if (!isWanted(shard)) continue
    const kept = await keptOf(shard, archives, { ...options, oldest })
    const [first, ...others] = kept
    const isAlone = first === undefined || (first.name === entry.fileName && others.length === 0)
    if (!isAlone) found.set(shard.shardId, kept)
    else options.memory?.whole.add(entry.fileName)
  }
  return found
}

type Links = ReadonlyMap<bigint, readonly Link[]>

/** Reads the archives of all shards that have several, newest first. */
async function readLinks(
  store: Store,
  { entries, older }: BackupSet,
  { isWanted, memory, signal }: ChainOptions,
): Promise<Links> {
  const links = new Map<bigint, Link[]>()
  for (const newest of entries) {
    const shard = shardOf(newest)
    const others = older.filter(({ shardId }) => shardId === shard.shardId)
    if (others.length === 0 || !isWanted(shard)) continue
    const known = new Map<string, readonly FileMark[]>()
    const filesOf = async (entry: ManifestEntry) => {
      const content = await contentOf(store, entry, signal)
      const files =
        known.get(content) ?? (await readMarks(shard, archivePart(store, entry, undefined), signal))
      known.set(content, files)
      return files
    }
    const archives: Link[] = []
    for (const entry of [newest, ...others]) {
      const part = archivePart(store, entry, undefined)
      const files = memory?.files.get(part.name) ?? (await filesOf(entry))
      memory?.files.set(part.name, files)
      archives.push({ set: setOf(entry), part, files })
    }
    links.set(shard.shardId, archives)
  }
  return links
}

function setOf({ fileName }: ManifestEntry): string {
  return parseFileName(fileName)?.set ?? fileName
}

/** Bytes at the end of a gzip member: the check sum of what is in it, and its length. */
const GZIP_TRAILER = 8

/** Tells archives with other content apart by their ends: cold shards are in every full set, and are read once. */
async function contentOf(
  store: Store,
  { fileName, size }: ManifestEntry,
  signal: AbortSignal | undefined,
): Promise<string> {
  const stored = (await store.stat(fileName, signal))?.size ?? 0
  if (stored <= GZIP_TRAILER) return fileName
  const chunks: Uint8Array[] = []
  const range = { start: stored - GZIP_TRAILER, end: stored }
  for await (const chunk of store.read(fileName, range, signal)) chunks.push(chunk)
  return `${size} ${Buffer.concat(chunks).toString('hex')}`
}

async function readMarks(
  shard: ShardName,
  part: ArchivePart,
  signal: AbortSignal | undefined,
): Promise<FileMark[]> {
  const files: FileMark[] = []
  try {
    for await (const { name, size, mtime } of readShardTar(part.open(signal), {
      name: part.name,
      signal,
    })) {
      files.push({ name, size, mtime })
    }
  } catch (error) {
    throw asDamage(error, shard, part.name)
  }
  return files
}

/** When the oldest file in the archives of each set was written: `-since` was before. Milliseconds since the epoch. */
function oldestOf(links: Links): ReadonlyMap<string, number> {
  const oldest = new Map<string, number>()
  for (const { set, files } of [...links.values()].flat()) {
    for (const { mtime } of files) {
      oldest.set(set, Math.min(oldest.get(set) ?? Number.POSITIVE_INFINITY, mtime.getTime()))
    }
  }
  return oldest
}

/**
 * Returns the archives of a shard that count, newest first: those that have something that no newer one has, nor could lack. Of
 * others in between tombstones count, for files that only older ones have.
 */
async function keptOf(
  shard: ShardName,
  archives: readonly Link[],
  options: ChainOptions & { readonly oldest: ReadonlyMap<string, number> },
): Promise<ArchivePart[]> {
  const kept: Link[] = []
  const parts: ArchivePart[] = []
  let end = 0
  let previous: string | undefined
  for (const archive of archives) {
    const seen = new Set(kept.flatMap(({ files }) => files.map(markOf)))
    const others = archive.files.filter((file) => !seen.has(markOf(file)))
    const { part: older } = archive
    if (previous !== undefined && options.memory?.whole.has(previous)) break
    previous = older.name
    if (others.length === 0) continue
    if (others.every(isTombstone)) {
      parts.push({ ...older, onlyTombstones: true })
      continue
    }
    const witnesses = witnessesOf(archive, others, { kept, oldest: options.oldest })
    const isKept =
      kept.length === 0 ||
      options.choice === 'union' ||
      !(await proveSuperseded({ shard, newer: parts, older, witnesses }, options))
    parts.push(isKept ? older : { ...older, onlyTombstones: true })
    if (!isKept) continue
    kept.push(archive)
    end = parts.length
  }
  return parts.slice(0, end)
}

function isTombstone({ name }: FileMark): boolean {
  return name.endsWith('.tombstone')
}

/** What a file may seem older than it is, because the clocks of server and client differ. Milliseconds. */
const CLOCKS = 60_000

/**
 * Returns the newer archives in which files that only an older one has would be, were they still there and whatever `-since` was:
 * those of sets with an older file. A file as new as its own set may have been written by `-start` and `-end`, of points of any age.
 */
function witnessesOf(
  { set }: Link,
  others: readonly FileMark[],
  {
    kept,
    oldest,
  }: { readonly kept: readonly Link[]; readonly oldest: ReadonlyMap<string, number> },
): ArchivePart[] {
  const begun = (parseSetName(set)?.getTime() ?? 0) - CLOCKS
  const times = others.map(({ mtime }) => mtime.getTime())
  if (times.some((time) => time >= begun)) return []
  const isWitness = (link: Link) => {
    const since = oldest.get(link.set)
    return since !== undefined && times.every((time) => time > since)
  }
  return kept.filter(isWitness).map(({ part }) => part)
}
