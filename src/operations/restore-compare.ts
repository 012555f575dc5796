import type { RandomAccess } from '../io/random-access.ts'
import { type MergedKey, mergeTsm } from '../tsm/merge.ts'
import {
  type Block,
  type FieldType,
  type StringColumn,
  sliceBlock,
  stringAt,
} from '../tsm/values.ts'
import { sourcesOf } from './tsm-sources.ts'

/** How the points of two shards compare. */
export interface PointCounts {
  /** Points of the one that should be there. */
  readonly expected: number
  /** Points of the other. */
  readonly got: number
  /** Expected and not there. */
  readonly missing: number
  /** There and not expected. */
  readonly extra: number
  /** At the same time with another value. */
  readonly different: number
}

/** The same of one field of one series. */
export interface KeyComparison extends PointCounts {
  /** The composite key. */
  readonly key: Uint8Array
  /** As it should be, if it should be there. */
  readonly type: FieldType
}

/** The files of a shard by name: TSM files and their tombstones. */
type Files = ReadonlyMap<string, RandomAccess>

/**
 * Compares the points of two shards as influxd would read them, whatever files and blocks they are in. Holds a few
 * blocks of one key at a time.
 * @throws SnapError as {@link mergeTsm}
 */
export async function* compareShards(
  expected: Files,
  got: Files,
): AsyncGenerator<KeyComparison, void, undefined> {
  yield* comparePoints(mergeTsm(await sourcesOf(expected)), mergeTsm(await sourcesOf(got)))
}

/** Compares the points of two streams of keys in order, as {@link compareShards} does, and closes both. */
export async function* comparePoints(
  left: Keys,
  right: Keys,
): AsyncGenerator<KeyComparison, void, undefined> {
  try {
    let [a, b] = [await next(left), await next(right)]
    while (a !== undefined || b !== undefined) {
      const order = a && b ? Buffer.compare(a.key, b.key) : a ? -1 : 1
      const [mine, theirs] = [order <= 0 ? a : undefined, order >= 0 ? b : undefined]
      const found = mine ?? theirs
      if (found !== undefined) {
        const { key, type } = found
        yield { key, type, ...(await compareKey(mine, theirs)) }
      }
      if (order <= 0) a = await next(left)
      if (order >= 0) b = await next(right)
    }
  } finally {
    await left.return(undefined)
    await right.return(undefined)
  }
}

/** Adds up comparisons. */
export function addCounts(a: PointCounts, b: PointCounts): PointCounts {
  return {
    expected: a.expected + b.expected,
    got: a.got + b.got,
    missing: a.missing + b.missing,
    extra: a.extra + b.extra,
    different: a.different + b.different,
  }
}

/** The comparison of nothing with nothing. */
export const NO_POINTS: PointCounts = { expected: 0, got: 0, missing: 0, extra: 0, different: 0 }

/** Keys in ascending order. */
export type Keys = AsyncGenerator<MergedKey, void, undefined>

async function next(keys: Keys): Promise<MergedKey | undefined> {
  const { done, value } = await keys.next()
  return done ? undefined : value
}

async function compareKey(
  a: MergedKey | undefined,
  b: MergedKey | undefined,
): Promise<PointCounts> {
  if (a !== undefined && b !== undefined && a.type === b.type) {
    return await compareBlocks(a.blocks, b.blocks)
  }
  // A field of another type is another field.
  const expected = a === undefined ? 0 : await countPoints(a.blocks)
  const got = b === undefined ? 0 : await countPoints(b.blocks)
  return { expected, got, missing: expected, extra: got, different: 0 }
}

async function countPoints(blocks: AsyncIterable<Block>): Promise<number> {
  let points = 0
  for await (const { times } of blocks) points += times.length
  return points
}

/** The points of a key, in ascending order. */
export type Blocks = AsyncGenerator<Block>

async function compareBlocks(left: Blocks, right: Blocks): Promise<PointCounts> {
  const counts = { ...NO_POINTS }
  let a = await nextBlock(left)
  let b = await nextBlock(right)
  while (a !== undefined && b !== undefined) {
    const [used, seen] = comparePart(a, b, counts)
    a = rest(a, used) ?? (await nextBlock(left))
    b = rest(b, seen) ?? (await nextBlock(right))
  }
  const missing = (a?.times.length ?? 0) + (await countPoints(left))
  const extra = (b?.times.length ?? 0) + (await countPoints(right))
  return addCounts(counts, { expected: missing, got: extra, missing, extra, different: 0 })
}

/** Reads on to the next block that has points. */
export async function nextBlock(blocks: Blocks): Promise<Block | undefined> {
  for (;;) {
    const { done, value } = await blocks.next()
    if (done) return undefined
    if (value.times.length > 0) return value
  }
}

/** Returns the points of a block from `from` on; undefined if there are none. */
export function rest(block: Block, from: number): Block | undefined {
  return from < block.times.length ? sliceBlock(block, from, block.times.length) : undefined
}

type Counts = { -readonly [Name in keyof PointCounts]: PointCounts[Name] }

/** Compares two blocks until one of them is used up, and returns how many points of each are. */
function comparePart(a: Block, b: Block, counts: Counts): [number, number] {
  const same = Math.min(a.times.length, b.times.length)
  if (isSame(sliceBlock(a, 0, same), sliceBlock(b, 0, same))) {
    counts.expected += same
    counts.got += same
    return [same, same]
  }
  let [i, j] = [0, 0]
  while (i < a.times.length && j < b.times.length) {
    const [left = 0n, right = 0n] = [a.times[i], b.times[j]]
    if (left < right) counts.missing++
    else if (left > right) counts.extra++
    else if (!isSame(sliceBlock(a, i, i + 1), sliceBlock(b, j, j + 1))) counts.different++
    if (left <= right) i++
    if (left >= right) j++
  }
  counts.expected += i
  counts.got += j
  return [i, j]
}

/** Tells whether two blocks of as many points hold the same, bit for bit. */
export function isSame(a: Block, b: Block): boolean {
  if (!sameBytes(a.times, b.times)) return false
  if (a.type !== 'string' || b.type !== 'string') {
    return a.type !== 'string' && b.type !== 'string' && sameBytes(a.values, b.values)
  }
  return sameStrings(a.values, b.values)
}

function sameStrings(a: StringColumn, b: StringColumn): boolean {
  if (a.offsets[0] === b.offsets[0]) {
    return sameBytes(a.offsets, b.offsets) && sameBytes(textOf(a), textOf(b))
  }
  for (let i = 0; i + 1 < a.offsets.length; i++) {
    if (Buffer.compare(stringAt(a, i), stringAt(b, i)) !== 0) return false
  }
  return true
}

/** The bytes of all strings, one after the other. */
function textOf({ offsets, bytes }: StringColumn): Uint8Array {
  return bytes.subarray(offsets[0], offsets.at(-1))
}

/** Compares bits: a NaN is itself, and minus zero is not zero. */
function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return bytesOf(a).equals(bytesOf(b))
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
