import { SnapError } from '../errors.ts'
import { type RandomAccess, sliceAccess } from '../io/random-access.ts'
import { readAll, Spool } from '../io/spool.ts'
import { listShards, startOfGroup } from '../meta/index.ts'
import { parseFileName, sidecarName } from '../portable/names.ts'
import { readSidecar } from '../portable/sets.ts'
import type { Sidecar } from '../portable/sidecar.ts'
import type { Store } from '../storage/index.ts'
import { formatEntryName, type TarEntryInput } from '../tar/index.ts'
import { checkTsm } from '../tsm/check-tsm.ts'
import { decodeTombstones } from '../tsm/tombstone.ts'
import { TombstoneSet } from '../tsm/tombstone-set.ts'
import type { TimeRange } from '../tsm/values.ts'
import { describeData } from './describe-archive.ts'
import type { ShardName } from './inspect.ts'
import type { ArchivePart, Restorable, RestorableShard } from './restorable.ts'
import type { ShardContent } from './restore-content.ts'
import { type ImageFile, openImage, type TarImage } from './salvage-image.ts'
import { type SalvagedTsm, salvageTsm } from './salvage-tsm.ts'
import { ShardSums } from './shard-sums.ts'
import { spoolShard } from './spool-shard.ts'

/**
 * Something that cannot be restored, or not as it was, and the shard it is of. Its times are those in which points may be
 * missing or wrong.
 */
export interface Loss extends Partial<ShardName>, Partial<TimeRange> {
  /** The stored file. */
  readonly file: string
  /** The file in that archive; undefined if it is all of it, or cannot be told. */
  readonly part?: string | undefined
  readonly message: string
}

/** How damaged shards are salvaged. */
export interface SalvageOptions {
  readonly store: Store
  readonly backup: Restorable
  readonly tempDir: string
  readonly signal: AbortSignal
}

/** What is left of a damaged shard. */
export interface SalvagedShard {
  /** Undefined if nothing is left. */
  readonly content: ShardContent | undefined
  readonly losses: readonly Loss[]
}

/**
 * Finds out what of a damaged shard can be restored: TSM files that are whole, and of others every block whose CRC is
 * right, as long as their index can be read.
 * @throws SnapError `E_DESTINATION` if the temporary directory is full
 */
export async function salvageShard(
  shard: RestorableShard,
  options: SalvageOptions,
): Promise<SalvagedShard> {
  const { database, retentionPolicy, shardId } = shard
  const losses: Loss[] = []
  let files = 0
  for await (const { close } of salvagedFiles(shard, options, (loss) => losses.push(loss))) {
    files++
    await close()
  }
  const entries = (signal: AbortSignal) => salvagedEntries(shard, { ...options, signal })
  const content = { database, retentionPolicy, shardId, entries }
  if (losses.length === 0) losses.push(...(await unlocated(shard, content, options)))
  return { content: files === 0 ? undefined : content, losses }
}

/** Returns the loss of a whole shard. */
export function lostShard(
  { database, retentionPolicy, shardId, file }: ShardName & { readonly file: string },
  { data }: Pick<Restorable, 'data'>,
  message = `${file} is missing`,
): Loss {
  const shard = { database, retentionPolicy, shardId }
  return { ...shard, file, ...timesOf(shard, data), message }
}

async function* salvagedEntries(
  shard: RestorableShard,
  options: SalvageOptions,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const { database, retentionPolicy, shardId } = shard
  for await (const { file, access, close } of salvagedFiles(shard, options, () => {})) {
    try {
      const name = formatEntryName({ database, retentionPolicy, shardId, file })
      yield { name, size: access.size, mtime: new Date(0), body: readAll(access) }
    } finally {
      await close()
    }
  }
}

interface SalvagedFile {
  readonly file: string
  readonly access: RandomAccess
  readonly close: () => Promise<void>
}

type OnLoss = (loss: Loss) => void

async function* salvagedFiles(
  shard: RestorableShard,
  options: SalvageOptions,
  onLoss: OnLoss,
): AsyncGenerator<SalvagedFile, void, undefined> {
  const seen = new Set<string>()
  // The newest tombstone of a file counts, for what older archives have of it too.
  const tombstones = new Map<string, TombstoneSet>()
  for (const part of shard.parts) {
    const sidecar = await sidecarOf(part, options)
    const image = await openImage(part, { ...options, shard, sidecar })
    try {
      const work = new PartSalvage({ shard, part, image, sidecar }, options, onLoss)
      for await (const file of work.files(tombstones)) {
        if (seen.has(file.file)) await file.close()
        else yield file
        seen.add(file.file)
      }
    } finally {
      await image.tar.close()
    }
  }
}

/** Returns the sidecar of an archive; undefined if it has none, or that is damaged too. */
async function sidecarOf(
  part: ArchivePart,
  { store, backup: { backup }, signal }: SalvageOptions,
): Promise<Sidecar | undefined> {
  const catalog = 'catalog' in backup ? backup.catalog : undefined
  const parsed = parseFileName(part.name)
  if (catalog === undefined || parsed?.kind !== 'archive') return undefined
  try {
    return await readSidecar(store, catalog, sidecarName(parsed.set, parsed.shardId), signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SnapError) return undefined
    throw error
  }
}

interface DamagedPart {
  readonly shard: RestorableShard
  readonly part: ArchivePart
  readonly image: TarImage
  readonly sidecar: Sidecar | undefined
}

/** One damaged archive. */
class PartSalvage {
  readonly #damaged: DamagedPart
  readonly #options: SalvageOptions
  readonly #onLoss: OnLoss

  constructor(damaged: DamagedPart, options: SalvageOptions, onLoss: OnLoss) {
    this.#damaged = damaged
    this.#options = options
    this.#onLoss = onLoss
  }

  /** @param tombstones those of newer archives, by the stems of their names; those of this one are added */
  async *files(
    tombstones: Map<string, TombstoneSet>,
  ): AsyncGenerator<SalvagedFile, void, undefined> {
    const { image, part } = this.#damaged
    for (const file of image.files.filter(({ name }) => name.endsWith('.tombstone'))) {
      const stem = stemOf(file.name)
      if (!tombstones.has(stem)) tombstones.set(stem, await this.#readTombstones(file))
    }
    for (const file of image.files.filter(({ name }) => name.endsWith('.tsm'))) {
      const { tempDir } = this.#options
      const spool = new Spool({ name: file.name, tempDir })
      const close = () => spool.close()
      try {
        const sink = (chunk: Uint8Array) => spool.write(chunk)
        const found = await salvageTsm(this.#open(file), sink, tombstones.get(stemOf(file.name)))
        this.#tell(file, found)
        if (found.size > 0) yield { file: file.name, access: spool.access(), close }
        else await close()
      } catch (error) {
        await close()
        throw error
      }
    }
    for (const gap of image.gaps) this.#lose(undefined, undefined, `${part.name}: ${gap}`)
  }

  #open({ name, offset, size }: ImageFile): RandomAccess {
    const { image, part } = this.#damaged
    return sliceAccess(image.tar, { offset, size }, `${part.name}: ${name}`)
  }

  async #readTombstones(file: ImageFile): Promise<TombstoneSet> {
    const set = new TombstoneSet()
    const access = this.#open(file)
    try {
      for await (const tombstone of decodeTombstones(readAll(access), access.name)) {
        set.add(tombstone)
      }
    } catch (error) {
      if (!(error instanceof SnapError)) throw error
      this.#lose(file, undefined, `${error.message}: what it deletes may be back`)
    }
    return set
  }

  #tell(file: ImageFile, { lost, broken, kept }: SalvagedTsm): void {
    const where = `${this.#damaged.part.name}: ${file.name}`
    if (lost.range !== undefined) {
      const names = lost.measurements.join(', ')
      this.#lose(file, lost.range, `${where}: ${lost.blocks} blocks of ${names} are damaged`)
    }
    if (broken === undefined) return
    const rest = kept + lost.blocks === 0 ? 'nothing of it can be read' : 'its index breaks off'
    this.#lose(file, undefined, `${broken}: ${rest}`)
  }

  #lose(file: ImageFile | undefined, range: TimeRange | undefined, message: string): void {
    const { shard, part, sidecar } = this.#damaged
    const { database, retentionPolicy, shardId } = shard
    const said = sidecar?.files.find(({ name }) => name === file?.name)
    const { minTime, maxTime } = said ?? {}
    const ofFile = minTime === undefined || maxTime === undefined ? undefined : { minTime, maxTime }
    const times = range ?? ofFile ?? timesOf(shard, this.#options.backup.data)
    const name = { database, retentionPolicy, shardId }
    this.#onLoss({ ...name, file: part.name, part: file?.name, ...times, message })
  }
}

function stemOf(name: string): string {
  return name.slice(0, name.lastIndexOf('.'))
}

/** The times of the shard's group. */
function timesOf({ shardId }: ShardName, data: Restorable['data']): TimeRange {
  const group = listShards(data).find(({ shard }) => shard.id === shardId)?.group
  if (group === undefined) return { minTime: 0n, maxTime: 0n }
  return { minTime: startOfGroup(group), maxTime: group.endTime - 1n }
}

/**
 * Where no file is damaged, the damage may be in none of them, or in the names of series, which have no CRC. Only a
 * fingerprint tells.
 */
async function unlocated(
  shard: RestorableShard,
  content: ShardContent,
  options: SalvageOptions,
): Promise<Loss[]> {
  const { tempDir, signal, backup } = options
  const [part] = shard.parts
  if (part === undefined) return []
  const data = (await sidecarOf(part, options))?.data
  if (data?.exact === true) {
    const opened = await spoolShard(content.entries(signal), tempDir)
    try {
      const sums = new ShardSums()
      for (const [name, access] of opened.files) {
        sums.add(name, await checkTsm(access, { points: true, signal }))
      }
      const found = describeData(await sums.finish(() => opened.files))
      if (found.exact && found.fingerprint === data.fingerprint) return []
    } finally {
      await opened.close()
    }
  }
  const what = 'it is damaged, and it cannot be told where: names of series may be wrong'
  return [lostShard({ ...shard, file: part.name }, backup, `${part.name}: ${what}`)]
}
