import { SnapError } from '../errors.ts'
import type { Catalog, CatalogFile } from '../portable/catalog.ts'
import type { ListedSet } from '../portable/listing.ts'
import { catalogName, manifestName, openedName, parseFileName } from '../portable/names.ts'
import { readClearCatalog, readManifest } from '../portable/set-files.ts'
import { checkStoredHash } from './check-archive.ts'
import { type ArchiveTask, type FoundSet, isSound, type VerifyContext } from './verify-context.ts'
import type { Place } from './verify-findings.ts'

/** Why a set cannot be opened: it is encrypted, and no key that was given opens it. Undefined if it can. */
export async function whyClosed(
  { listing: { source }, opened, signal }: VerifyContext,
  { name }: ListedSet,
): Promise<SnapError | undefined> {
  if (!opened.isSealed(manifestName(name))) return undefined
  try {
    await readManifest(source, name, signal)
    return undefined
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    return error.code === 'E_KEY' ? error : undefined
  }
}

/** Verifies what can be verified of a set without its key: the clear catalog, and what is stored by the hashes in it. */
export async function verifyClosed(context: VerifyContext, listed: ListedSet): Promise<FoundSet> {
  const { name: set, time } = listed
  const found = { set, kind: 'snap', time: time.toISOString(), onlyHashes: true } as const
  const catalog = await readClear(context, set)
  if (catalog === undefined) return { ...found, archives: undefined, files: new Set() }
  const shards = new Map(catalog.shards?.map((shard) => [shard.archive, shard]))
  const archives: ArchiveTask[] = []
  for (const file of catalog.files) {
    const place = { sets: [set], file: file.name }
    if (parseFileName(file.name)?.kind !== 'archive') {
      await compareHash(context, place, file)
      continue
    }
    const shard = shards.get(file.name)
    if (shard === undefined) {
      context.findings.add(
        place,
        `${file.name}: its set's catalog does not say which shard it is of`,
      )
      continue
    }
    const { shardId, database, retentionPolicy } = shard
    archives.push({
      ...place,
      shard: { shardId, database, retentionPolicy },
      part: { name: file.name, stored: file, tarSize: shard.tarSize, open: notOpened },
      onlyHash: true,
    })
  }
  return { ...found, archives, files: filesOf(catalog) }
}

function notOpened(): never {
  throw new SnapError('E_KEY', 'an archive was to be opened without its key')
}

/**
 * Verifies what stands beside an encrypted set that can be opened: the clear catalog, which must be of the same files. That
 * these are what they were shows when they are decrypted.
 */
export async function verifyClear(
  context: VerifyContext,
  set: string,
  inside: Catalog,
): Promise<void> {
  const { findings, listing } = context
  const catalog = await readClear(context, set)
  if (catalog === undefined) return
  const name = catalogName(set)
  const place = { sets: [set], file: name }
  const listed = filesOf(catalog)
  for (const file of inside.files) {
    if (!listed.has(file.name)) findings.add(place, `${name}: does not list ${file.name}`)
  }
  for (const file of catalog.files) {
    const kind = parseFileName(file.name)?.kind
    if (kind !== 'archive' && kind !== 'sidecar') {
      await compareHash(context, { sets: [set], file: file.name }, file)
      continue
    }
    const size = listing.files.get(openedName(file.name))?.size ?? file.size
    if (size === file.size) continue
    const message = `${file.name}: ${size} bytes, expected ${file.size}`
    findings.add({ sets: [set], file: file.name }, message)
  }
}

/** The sets whose archives a set has, by its clear catalog. */
export async function ownersOf(
  { opened, signal }: VerifyContext,
  set: ListedSet,
): Promise<ReadonlySet<string | undefined>> {
  const { shards = [] } = await readClearCatalog({ source: opened.stored }, set, signal)
  return new Set(shards.map(({ archive }) => parseFileName(archive)?.set))
}

function readClear(context: VerifyContext, set: string): Promise<Catalog | undefined> {
  const { opened, findings, signal } = context
  return findings.collect({ sets: [set], file: catalogName(set) }, () =>
    readClearCatalog({ source: opened.stored }, { name: set }, signal),
  )
}

/** The files of a set by the names that they have without encryption. */
function filesOf({ set, files }: Catalog): Set<string> {
  return new Set([...files.map(({ name }) => openedName(name)), catalogName(set)])
}

async function compareHash(
  context: VerifyContext,
  place: Place,
  listed: CatalogFile,
): Promise<void> {
  if (isSound(context, listed)) return
  const { opened, findings, sound, signal } = context
  const { name, size, sha256 } = listed
  const done = await findings.collect(place, async () => {
    await checkStoredHash(opened.stored, { name, stored: { size, sha256 } }, { signal })
    return true
  })
  if (done) sound.set(name, listed)
}
