import { SnapError } from '../errors.ts'
import { readKnownChecks, type SetChecks } from '../portable/checks.ts'
import { type ListedSet, listHeadless, listSets, type SetListing } from '../portable/listing.ts'
import { pinName } from '../portable/names.ts'
import { nothingToTake } from '../portable/select-set.ts'
import type { Store } from '../storage/index.ts'
import {
  readContents,
  type SetContents,
  type StockArchives,
  type StockChain,
} from './set-contents.ts'

/** One set of a target. */
export interface SetSummary extends SetChecks {
  readonly set: string
  readonly kind: 'snap' | 'stock'
  /** When it was begun, RFC 3339. */
  readonly time: string
  /** Sets of influxd do not say. */
  readonly content?: 'full' | 'incremental' | 'range' | undefined
  /** The newest set that it shares archives with. */
  readonly parent?: string | undefined
  /** Of a set of influxd, what else a restore may take of its shards. */
  readonly chain?: StockChain | undefined
  readonly databases: readonly string[]
  readonly shards: number
  /** Bytes of its tars before compression. */
  readonly bytes: number
  /** Bytes of its own files as they are stored. */
  readonly stored: number
  /** Bytes of files that it shares with older sets. */
  readonly shared: number
  /** The times of its shards, nanoseconds since the epoch: `start` is one of them, `end` is not. */
  readonly times?: { readonly start: bigint; readonly end: bigint } | undefined
  readonly completeness?: 'confirmed' | 'unconfirmed' | undefined
  /** Shards that should be in it and are not. */
  readonly lost: number
  readonly encrypted: boolean
  readonly pinned: boolean
  /** What is wrong with it, if it cannot be read or lacks a file. */
  readonly problem?: string | undefined
}

/** What {@link list} finds, both newest first. */
export interface TargetList {
  readonly sets: readonly SetSummary[]
  /** Names of sets that have lost the manifest, which made them sets. */
  readonly headless: readonly string[]
}

/**
 * Lists the sets of a target, those that cannot be read too.
 * @throws SnapError `E_NO_BACKUP` if there is none, `E_INTEGRITY` if there is nothing but one without its manifest
 */
export async function list(store: Store, signal: AbortSignal): Promise<TargetList> {
  const listing = await listSets(store, signal)
  if (listing.sets.length === 0) throw await nothingToTake(listing, signal)
  const stock: StockArchives = new Map()
  const summaries: SetSummary[] = []
  for (const set of listing.sets.toReversed()) {
    const { summary } = await summarizeSet(listing, set, { stock, signal })
    summaries.push(summary)
  }
  return { sets: summaries.reverse(), headless: listHeadless(listing).sort().reverse() }
}

/** Reads the small files of a set and says what it is; its contents are undefined if they cannot be read. */
export async function summarizeSet(
  listing: SetListing,
  set: ListedSet,
  { stock, signal }: { readonly stock: StockArchives; readonly signal: AbortSignal },
): Promise<{ readonly summary: SetSummary; readonly contents: SetContents | undefined }> {
  const { name, kind, time } = set
  const pinned = listing.files.has(pinName(name))
  const checks = await readKnownChecks(listing, name, signal)
  const head = { set: name, kind, time: time.toISOString(), pinned, ...checks }
  try {
    const contents = await readContents(listing, set, { stock, signal })
    return { summary: { ...head, ...describeContents(contents) }, contents }
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    const nothing = { databases: [], shards: 0, bytes: 0, stored: 0, shared: 0, lost: 0 }
    const summary = { ...head, ...nothing, encrypted: false, problem: error.message }
    return { summary, contents: undefined }
  }
}

function describeContents({ catalog, shards, files, missing, chain }: SetContents) {
  const [first, ...more] = missing
  const others = more.length > 0 ? `, and ${more.length} more` : ''
  return {
    ...(catalog && {
      content: contentOf(catalog),
      parent: catalog.parent,
      completeness: catalog.completeness,
    }),
    ...(chain && { chain }),
    databases: [...new Set(shards.map(({ database }) => database))],
    shards: shards.length,
    bytes: sum(shards.map(({ bytes }) => bytes)),
    stored: sum(files.filter(({ isShared }) => !isShared).map(({ size }) => size)),
    shared: sum(files.filter(({ isShared }) => isShared).map(({ size }) => size)),
    times: timesOf({ catalog, shards }),
    lost: catalog?.skipped.filter(({ lost }) => lost).length ?? 0,
    encrypted: files.some(({ name }) => name.endsWith('.age')),
    ...(first !== undefined && { problem: `${first} is missing or cut${others}` }),
  }
}

function contentOf({
  kind,
  parent,
  unchanged,
}: NonNullable<SetContents['catalog']>): SetSummary['content'] {
  if (kind === 'range') return 'range'
  return parent === undefined && unchanged === undefined ? 'full' : 'incremental'
}

/** An exact range, or what the groups of the shards are for. */
function timesOf({ catalog, shards }: Pick<SetContents, 'catalog' | 'shards'>) {
  if (catalog?.range !== undefined) {
    return { start: catalog.range.start, end: catalog.range.end + 1n }
  }
  let times: SetSummary['times']
  for (const { times: own } of shards) {
    if (own === undefined) continue
    const { start, end } = times ?? own
    times = { start: own.start < start ? own.start : start, end: own.end > end ? own.end : end }
  }
  return times
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
