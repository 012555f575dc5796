import type { Data } from '../meta/index.ts'
import type { Catalog } from '../portable/catalog.ts'
import { readChecks } from '../portable/checks.ts'
import { readHoldings } from '../portable/holdings.ts'
import type { ListedSet } from '../portable/listing.ts'
import type { Manifest } from '../portable/manifest.ts'
import {
  catalogName,
  checksName,
  manifestName,
  parseFileName,
  sidecarName,
} from '../portable/names.ts'
import { readCatalog, readManifest, readMeta } from '../portable/set-files.ts'
import { checkStoredHash } from './check-archive.ts'
import { overlaps, shardName } from './plan-shards.ts'
import { archivePart, NOT_HELD, shardOf } from './restorable.ts'
import { selectShards } from './selection.ts'
import { type ArchiveTask, type FoundSet, isSound, type VerifyContext } from './verify-context.ts'
import { type Place, shardsById, timesOf } from './verify-findings.ts'
import { verifyClear } from './verify-sealed.ts'

/** Verifies the small files of a set, against each other and by their hashes, and lists its archives. */
export async function verifySet(context: VerifyContext, listed: ListedSet): Promise<FoundSet> {
  const { listing, findings, signal } = context
  const { source } = listing
  const { name: set, time } = listed
  const place = (file: string): Place => ({ sets: [set], file })
  if (listing.files.has(checksName(set))) {
    await findings.collect(place(checksName(set)), () => readChecks(source, set, signal))
  }
  const manifest = await findings.collect(place(manifestName(set)), () =>
    readManifest(source, set, signal).then((read) => read.manifest),
  )
  const kind = listed.kind === 'snap' || manifest?.catalog !== undefined ? 'snap' : 'stock'
  const found = { set, kind, time: time.toISOString() } as const
  if (manifest === undefined) return { ...found, archives: undefined, files: new Set() }
  const metaFile = manifest.meta.fileName
  const meta = await findings.collect(place(metaFile), () =>
    readMeta(source, manifest, signal).then((read) => read.meta),
  )
  const catalogFile = manifest.catalog ?? catalogName(set)
  const catalog = await findings.collect(place(catalogFile), () =>
    readCatalog(listing, listed, manifest, signal),
  )
  const files = new Set([manifestName(set), metaFile, catalogFile])
  for (const { fileName } of manifest.files) files.add(fileName)
  for (const { name } of catalog?.files ?? []) files.add(name)
  if (catalog !== undefined) await verifyListed(context, { set, manifest, catalog })
  if (catalog && context.opened.isSealed(manifestName(set))) {
    await verifyClear(context, set, catalog)
  }
  if (meta === undefined || (kind === 'snap' && catalog === undefined)) {
    return { ...found, archives: undefined, files }
  }
  const archives = await listArchives(context, { set, manifest, meta, catalog })
  const unheld =
    catalog?.unchanged && (await readHoldings(listing, signal)).inherited.get(set)?.unheld
  findGaps(context, { set, manifest, meta, catalog, unheld })
  return { ...found, archives, files }
}

interface ReadSet {
  readonly set: string
  readonly manifest: Manifest
  readonly meta: Data
  readonly catalog: Catalog | undefined
  /** Shards that had not changed and that no older set holds. */
  readonly unheld?: readonly bigint[] | undefined
}

/** Checks the files of a catalog: those that are small by their hash, archives only for being there and in the manifest. */
async function verifyListed(
  context: VerifyContext,
  { set, manifest, catalog }: Pick<ReadSet, 'set' | 'manifest'> & { readonly catalog: Catalog },
): Promise<void> {
  const { store, findings, sound, signal } = context
  const inManifest = new Set(manifest.files.map(({ fileName }) => fileName))
  const shards = new Map(manifest.files.map((entry) => [sidecarOf(entry.fileName), shardOf(entry)]))
  for (const listed of catalog.files) {
    const { name, size, sha256 } = listed
    const place = { sets: [set], file: name, shard: shards.get(name) }
    const isArchive = parseFileName(name)?.kind === 'archive'
    if (isArchive && inManifest.has(name)) continue
    if (isArchive) findings.add(place, `${name}: in the catalog of set ${set}, not in its manifest`)
    else if (!(await isThere(context, name))) findings.add(place, `${name} is missing`)
    else if (!isSound(context, listed)) {
      const stored = { size, sha256 }
      const done = await findings.collect(place, async () => {
        await checkStoredHash(store, { name, stored }, { signal })
        return true
      })
      if (done) sound.set(name, listed)
    }
  }
}

/** Returns the archives of a manifest that are there, and finds those that are not or that no restore would take. */
async function listArchives(context: VerifyContext, read: ReadSet): Promise<ArchiveTask[]> {
  const { findings } = context
  const known = shardsById(read.meta)
  const storedOf = new Map(read.catalog?.files.map((file) => [file.name, file]))
  const tasks: ArchiveTask[] = []
  const sets = [read.set]
  for (const entry of read.manifest.files) {
    const { fileName: file } = entry
    const shard = shardOf(entry)
    const listed = known.get(shard.shardId)
    const times = timesOf(listed)
    const place = { sets, file, shard, times }
    const { database, retentionPolicy, shardId } = shard
    if (listed?.database !== database || listed.retentionPolicy !== retentionPolicy) {
      const where = `${database}.${retentionPolicy}`
      findings.add(place, `${file}: the metastore has no shard ${shardId} in ${where}`)
    }
    const stored = storedOf.get(file)
    if (read.catalog !== undefined && stored === undefined) {
      findings.add(place, `${file}: in the manifest of set ${read.set}, not in its catalog`)
    }
    if (!(await isThere(context, file))) findings.add(place, `${file} is missing`)
    else {
      const part = archivePart(context.store, entry, stored)
      const sidecar = storedOf.get(sidecarOf(file) ?? '')
      // As small as can be: there may be tens of thousands.
      tasks.push({ sets, file, shard, times, part, sidecar })
    }
  }
  return tasks
}

/** Says whether a file is there; one that was published while the target was listed may not be in the list. */
export async function isThere(
  { store, listing, signal }: VerifyContext,
  name: string,
): Promise<boolean> {
  return listing.files.has(name) || (await store.stat(name, signal)) !== undefined
}

function sidecarOf(archive: string): string | undefined {
  const parsed = parseFileName(archive)
  return parsed?.kind === 'archive' ? sidecarName(parsed.set, parsed.shardId) : undefined
}

/**
 * Finds shards that are live in the metastore of a set and have no archive. A catalog says which were selected, and why one
 * was left out; one of which it says nothing is a problem. Sets of influxd say nothing of either.
 */
function findGaps({ findings }: VerifyContext, read: ReadSet): void {
  const { set, manifest, meta, catalog, unheld = [] } = read
  const held = new Set(manifest.files.map(({ shardId }) => shardId))
  const databases = [...new Set(manifest.files.map(({ database }) => database))]
  const { shardIds: shards, ...selected } = catalog?.selection ?? { databases }
  const skipped = new Map(catalog?.skipped.map((shard) => [shard.shardId, shard]))
  for (const listed of selectShards(meta, { ...selected, shards })) {
    const shard = shardName(listed)
    if (held.has(shard.shardId) || !overlaps(listed, catalog?.range)) continue
    const times = { start: listed.group.startTime, end: listed.group.endTime }
    const said = skipped.get(shard.shardId)
    const gap = { ...shard, set, times }
    if (catalog === undefined) {
      findings.gaps.push({ ...gap, reason: undefined, lost: false })
    } else if (said !== undefined) {
      findings.gaps.push({ ...gap, reason: said.reason, lost: said.lost })
    } else if (unheld.includes(shard.shardId)) {
      findings.gaps.push({ ...gap, reason: NOT_HELD, lost: true })
    } else if (catalog.selection.since === undefined) {
      const message = `${manifestName(set)}: no archive of shard ${shard.shardId}, which was selected and is live in the metastore`
      findings.add({ sets: [set], file: manifestName(set), shard, times }, message)
    }
  }
}
