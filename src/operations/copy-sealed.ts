/** What a target has already of sets that are encrypted while they are copied. */
import { isDeepStrictEqual } from 'node:util'
import { SnapError } from '../errors.ts'
import {
  type Catalog,
  type CatalogFile,
  decodeCatalog,
  encodeCatalog,
} from '../portable/catalog.ts'
import { clearCatalog, isForSame } from '../portable/clear-catalog.ts'
import type { SetListing } from '../portable/listing.ts'
import { openedName, parseFileName, sealedName } from '../portable/names.ts'
import { readClearCatalog, type SetHead } from '../portable/set-files.ts'
import { listUnfinished } from '../portable/target.ts'
import { type CopyFile, saidOf, type TargetPlace } from './copy-target.ts'

const HINT = 'copy into a target that holds nothing but copies for the same recipients'

/**
 * True if the target has the set already, encrypted to the same recipients: its clear catalog says all that it would say now.
 * @throws SnapError `E_TARGET_EXISTS` if it has another one of that name, `E_USAGE` if the set has no catalog
 */
export async function isThereSealed(
  listing: SetListing,
  { listing: target, recipients, signal }: TargetPlace,
  { set: { name }, catalog }: SetHead,
): Promise<boolean> {
  if (catalog === undefined) {
    const message = `${listing.source.url}: set ${name} is one of influxd: it has no catalog, and cannot be encrypted`
    throw new SnapError('E_USAGE', message, { hint: 'choose others with --set' })
  }
  const there = target.sets.find((each) => each.name === name)
  if (there === undefined) return false
  if (there.sealed) {
    const theirs = await readClearCatalog(target, there, signal)
    const wouldBe = clearCatalog(catalog, theirs.files, recipients?.names ?? [])
    const isSame = isDeepStrictEqual(theirs, decodeCatalog(encodeCatalog(wouldBe)))
    if (isSame && holdsSame(catalog, theirs)) return true
  }
  throw new SnapError('E_TARGET_EXISTS', `${target.source.url}: has another set ${name}`, {
    hint: HINT,
  })
}

/** True if what is told of encrypted archives and sidecars is what is in those of the set. */
function holdsSame({ files }: Catalog, theirs: Catalog): boolean {
  const stored = new Map(theirs.files.map((file) => [openedName(file.name), file]))
  return files.every((file) => {
    const kind = parseFileName(file.name)?.kind
    const isShared = kind === 'archive' || kind === 'sidecar'
    return !isShared || isPlain(stored.get(file.name), file)
  })
}

function isPlain(
  stored: CatalogFile | undefined,
  { size, sha256 }: Pick<CopyFile, 'size' | 'sha256'>,
): boolean {
  return stored?.plain?.size === size && stored.plain.sha256 === sha256
}

/**
 * True if the target has a file, encrypted to the same recipients. What a dead copy left of it cannot be known without a key:
 * it is copied again.
 * @throws SnapError `E_TARGET_EXISTS` if it has another one, or one for others
 */
export async function isReusableSealed(
  _: SetListing,
  place: TargetPlace,
  file: CopyFile,
): Promise<boolean> {
  const { store, listing, recipients, unreadable } = place
  const name = sealedName(file.name)
  const isClear = parseFileName(file.name)?.kind === 'catalog' && isLeftOver(listing, file.name)
  if (listing.files.has(file.name) && !isClear) {
    throw new SnapError('E_TARGET_EXISTS', `${store.url}: ${file.name} is there in the clear`, {
      hint: HINT,
    })
  }
  if (!listing.files.has(name)) return false
  const said = await saidOf(place, name)
  if (said && isPlain(said.file, file) && isForSame(said, recipients?.names)) return true
  if (said === undefined && unreadable.size === 0 && isLeftOver(listing, name)) return false
  throw new SnapError('E_TARGET_EXISTS', `${store.url}: ${name} is another file, or for others`, {
    hint: HINT,
  })
}

function isLeftOver({ files }: SetListing, name: string): boolean {
  return listUnfinished(files).some(({ leftovers }) => leftovers.includes(name))
}
