import { unionOf } from '../formats/join.ts'
import { takeBlock } from '../tsm/arrange.ts'
import { seriesOf } from '../tsm/series-key.ts'
import { type Block, type FieldType, searchTime, sliceBlock } from '../tsm/values.ts'
import { type Blocks, isSame, type Keys, nextBlock, rest } from './restore-compare.ts'

/** How many points of a backup a live shard lacks, has, and has with another value. */
export interface MergeCounts {
  readonly added: number
  readonly equal: number
  readonly conflicting: number
}

/** Points that the live shard does not have as they are in the backup. */
export interface MergePart {
  /** `added`: live has none at these times. `conflicting`: live has another value, or has the row otherwise. */
  readonly kind: 'added' | 'conflicting'
  readonly block: Block
}

/** What a live shard lacks of one field of one series. */
export interface MergedField {
  /** The composite key. */
  readonly key: Uint8Array
  /** In the backup. */
  readonly type: FieldType
  /** To be read once, before the next field. In ascending order of time for each kind. */
  readonly parts: AsyncGenerator<MergePart, void, undefined>
  /** Of the parts that were read so far. */
  readonly counts: MergeCounts
}

/** The times at which a series has any field, by series in the order of their keys. */
export type SeriesTimes = AsyncGenerator<{
  readonly series: Uint8Array
  readonly times: BigInt64Array
}>

type Counts = { -readonly [Name in keyof MergeCounts]: MergeCounts[Name] }

/**
 * Compares a backup with a live shard key by key: what of the backup is new to it. Holds a few blocks of one key at a time.
 * @param rows the times of the live shard's rows: then a point of a row that live has in any field counts as conflicting
 * Fields must have the same type on both sides.
 * @throws SnapError what the keys and their blocks throw
 */
export async function* mergePoints(
  backup: Keys,
  live: Keys,
  rows?: SeriesTimes,
): AsyncGenerator<MergedField, void, undefined> {
  try {
    let theirs = await live.next()
    let row = await rows?.next()
    for await (const { key, type, blocks } of backup) {
      while (!theirs.done && Buffer.compare(theirs.value.key, key) < 0) theirs = await live.next()
      const series = seriesOf(key)
      while (row !== undefined && !row.done && Buffer.compare(row.value.series, series) < 0) {
        row = await rows?.next()
      }
      const found = !theirs.done && Buffer.compare(theirs.value.key, key) === 0
      const same = found && !theirs.done ? theirs.value : undefined
      const taken =
        row !== undefined && !row.done && Buffer.compare(row.value.series, series) === 0
          ? row.value.times
          : undefined
      const counts = { added: 0, equal: 0, conflicting: 0 }
      const parts = mergeBlocks(blocks, same?.blocks, { counts, taken })
      yield { key, type, parts, counts }
    }
  } finally {
    await backup.return(undefined)
    await live.return(undefined)
    await rows?.return(undefined)
  }
}

interface Merging {
  readonly counts: Counts
  readonly taken: BigInt64Array | undefined
}

async function* mergeBlocks(
  backup: Blocks,
  live: Blocks | undefined,
  { counts, taken }: Merging,
): AsyncGenerator<MergePart, void, undefined> {
  let mine = await nextBlock(backup)
  let theirs = live && (await nextBlock(live))
  while (mine !== undefined) {
    const { used, seen, added, conflicting } = mergePart(mine, theirs)
    counts.equal += used - count(added) - count(conflicting)
    for (const part of splitTaken(added, taken)) {
      counts[part.kind] += part.block.times.length
      yield part
    }
    if (conflicting !== undefined) {
      counts.conflicting += conflicting.times.length
      yield { kind: 'conflicting', block: conflicting }
    }
    mine = rest(mine, used) ?? (await nextBlock(backup))
    if (theirs !== undefined && live !== undefined) {
      theirs = rest(theirs, seen) ?? (await nextBlock(live))
    }
  }
}

function count(block: Block | undefined): number {
  return block?.times.length ?? 0
}

interface Part {
  /** Points of each block that this is about. */
  readonly used: number
  readonly seen: number
  readonly added?: Block | undefined
  readonly conflicting?: Block | undefined
}

/** Compares the beginnings of two blocks, as far as one of them says all there is. */
function mergePart(mine: Block, theirs: Block | undefined): Part {
  const length = mine.times.length
  if (theirs === undefined) return { used: length, seen: 0, added: mine }
  const [first = 0n] = theirs.times
  const before = searchTime(mine.times, first)
  if (before > 0) return { used: before, seen: 0, added: sliceBlock(mine, 0, before) }
  const [start = 0n] = mine.times
  const past = searchTime(theirs.times, start)
  if (past > 0) return { used: 0, seen: past }
  const same = Math.min(length, theirs.times.length)
  if (isSame(sliceBlock(mine, 0, same), sliceBlock(theirs, 0, same))) {
    return { used: same, seen: same }
  }
  return walk(mine, theirs)
}

/** Compares point by point until one of the blocks is used up. */
function walk(mine: Block, theirs: Block): Part {
  const added: number[] = []
  const conflicting: number[] = []
  let [i, j] = [0, 0]
  while (i < mine.times.length && j < theirs.times.length) {
    const [left = 0n, right = 0n] = [mine.times[i], theirs.times[j]]
    if (left < right) added.push(i)
    else if (left === right && !isSame(sliceBlock(mine, i, i + 1), sliceBlock(theirs, j, j + 1)))
      conflicting.push(i)
    if (left <= right) i++
    if (left >= right) j++
  }
  const take = (indices: number[]) =>
    indices.length === 0 ? undefined : takeBlock(mine, Uint32Array.from(indices))
  return { used: i, seen: j, added: take(added), conflicting: take(conflicting) }
}

/** Splits points by whether their times are among `taken`, which ascend. */
function splitTaken(block: Block | undefined, taken: BigInt64Array | undefined): MergePart[] {
  if (block === undefined || block.times.length === 0) return []
  if (taken === undefined) return [{ kind: 'added', block }]
  const indices: Record<MergePart['kind'], number[]> = { added: [], conflicting: [] }
  let at = searchTime(taken, block.times[0] ?? 0n)
  for (const [i, time] of block.times.entries()) {
    while (at < taken.length && (taken[at] ?? time) < time) at++
    indices[taken[at] === time ? 'conflicting' : 'added'].push(i)
  }
  return (['added', 'conflicting'] as const)
    .filter((kind) => indices[kind].length > 0)
    .map((kind) => ({ kind, block: takeBlock(block, Uint32Array.from(indices[kind])) }))
}

/** Returns the times at which each series has a point in any field. Holds those of one series. */
export async function* seriesTimes(keys: Keys): SeriesTimes {
  let series: Uint8Array | undefined
  let parts: BigInt64Array[] = []
  for await (const { key, blocks } of keys) {
    const next = seriesOf(key)
    if (series !== undefined && Buffer.compare(series, next) !== 0) {
      yield { series, times: unionOf(parts) }
      parts = []
    }
    series = Uint8Array.from(next)
    for await (const { times } of blocks) parts.push(times)
    if (parts.length > MAX_PARTS) parts = [unionOf(parts)]
  }
  if (series !== undefined) yield { series, times: unionOf(parts) }
}

/** So many blocks are kept before equal times are thrown out. */
const MAX_PARTS = 1000
