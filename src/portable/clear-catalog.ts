import type { Catalog, CatalogFile, SkippedShard } from './catalog.ts'
import { openedName, parseFileName } from './names.ts'

/** Stands for a reason that is told in the encrypted catalog alone: it may name hosts or measurements. */
const NOT_TOLD = 'its encrypted catalog says why'

/**
 * Returns what the encrypted catalog of a set lists, by what is stored: the same files as they are without encryption,
 * so that a set that was decrypted is whole.
 */
export function openedFiles(stored: readonly CatalogFile[]): CatalogFile[] {
  return stored.map(({ plain, ...file }) =>
    plain === undefined ? file : { name: openedName(file.name), ...plain },
  )
}

/**
 * Returns the clear catalog of an encrypted set: what listing, pruning, later sets and checks of hashes need, and no more.
 * @param catalog the catalog that is encrypted
 * @param stored every stored file of the set but the clear catalog itself
 * @param recipients names of those whom it is encrypted to
 */
export function clearCatalog(
  catalog: Catalog,
  stored: readonly CatalogFile[],
  recipients: readonly string[],
): Catalog {
  const { selection, server, skipped, shards } = catalog
  const { measurements: _, tags: __, ...selected } = selection
  const storedAs = new Map(stored.map(({ name }) => [openedName(name), name]))
  return {
    ...catalog,
    server: { clusterId: server.clusterId },
    selection: selected,
    skipped: skipped.map(untold),
    ...(shards && {
      shards: shards.map(({ data: _data, ...shard }) => ({
        ...shard,
        archive: storedAs.get(shard.archive) ?? shard.archive,
      })),
    }),
    encryption: { format: 'age', recipients },
    files: stored.map(withoutSmallPlain),
  }
}

function untold(skipped: SkippedShard): SkippedShard {
  return { ...skipped, reason: NOT_TOLD }
}

/** Later sets share archives and sidecars alone; of the rest, what is in it is nobody's business. */
function withoutSmallPlain({ plain, ...file }: CatalogFile): CatalogFile {
  const kind = parseFileName(file.name)?.kind
  const isShared = kind === 'archive' || kind === 'sidecar'
  return plain !== undefined && isShared ? { ...file, plain } : file
}

/**
 * True if a set is encrypted to exactly these recipients, or is not and there are none: sets share archives only with such.
 * @param recipients their names; undefined without encryption
 */
export function isForSame(
  { encryption }: Pick<Catalog, 'encryption'>,
  recipients: readonly string[] | undefined,
): boolean {
  return encryption?.recipients.join() === recipients?.join()
}
