import { SnapError } from '../errors.ts'
import { mergeBlocks } from '../tsm/arrange.ts'
import { type Block, MAX_TIME, searchTime, sliceBlock, type TimeRange } from '../tsm/values.ts'
import type { KeyPart, Run } from './run-file.ts'
import type { OnConflict } from './table.ts'
import { withoutTimes } from './without.ts'

/** One key with its parts, oldest run first. */
export interface MergedKey {
  readonly key: Uint8Array
  readonly parts: readonly KeyPart[]
}

interface Head {
  readonly part: KeyPart
  readonly run: Run
  /** The run's place in time. */
  readonly order: number
}

/** Yields the keys of all `runs` (oldest first) in order, each with the parts of those runs that have it. */
export async function* mergeRuns(runs: readonly Run[]): AsyncGenerator<MergedKey, void, undefined> {
  const heads: Head[] = []
  for (const [order, run] of runs.entries()) await advance(heads, run, order)
  for (let [first] = heads; first !== undefined; [first] = heads) {
    const { key } = first.part
    const other = heads.findIndex(({ part }) => compare(part.key, key) !== 0)
    const same = heads.splice(0, other === -1 ? heads.length : other)
    yield { key, parts: same.map(({ part }) => part) }
    for (const { run, order } of same) await advance(heads, run, order)
  }
}

/** Puts the next key of `run` in its place among `heads`, which are in order of key, then of run. */
async function advance(heads: Head[], run: Run, order: number): Promise<void> {
  const result = await run.next()
  if (result.done === true) return
  const part = result.value
  let low = 0
  let high = heads.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const head = heads[middle]
    const difference = head && (compare(head.part.key, part.key) || head.order - order)
    if (difference !== undefined && difference < 0) low = middle + 1
    else high = middle
  }
  heads.splice(low, 0, { part, run, order })
}

const compare = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b)

/**
 * Yields the points of one key, ascending: what each part wrote less what later parts delete, the latest part's where
 * times are equal. Parts of another type than the last one that has points are given up and told to `onConflict`.
 */
export async function* mergeKey(
  { key, parts }: MergedKey,
  onConflict: OnConflict,
): AsyncGenerator<Block, void, undefined> {
  const type = parts.findLast((part) => part.type !== undefined)?.type
  const sources: Source[] = []
  for (const source of openSources(parts)) {
    if (source.part.type === type) sources.push(source)
    else await giveUp(source, key, onConflict)
  }
  for (;;) {
    for (const source of sources) await refill(source)
    const rests = sources.flatMap(({ rest }) => rest ?? [])
    if (rests.length === 0) return
    // Up to here every source is in memory.
    const bound = rests.map(({ times }) => times.at(-1) ?? MAX_TIME).reduce(earlier)
    yield overlay(sources.flatMap((source) => takeUntil(source, bound) ?? []))
  }
}

interface Source {
  readonly part: KeyPart
  /** What later parts delete. */
  readonly deletes: readonly TimeRange[]
  /** Points read and not yet given out, at least one. */
  rest: Block | undefined
}

function openSources(parts: readonly KeyPart[]): Source[] {
  let deletes: readonly TimeRange[] = []
  const newestFirst = parts.toReversed().map((part): Source => {
    const source = { part, deletes, rest: undefined }
    if (part.deletes.length > 0) deletes = [...part.deletes, ...deletes]
    return source
  })
  return newestFirst.reverse()
}

/** Reads on until there are points that no later part deletes. */
async function refill(source: Source): Promise<void> {
  while (source.rest === undefined) {
    const block = await source.part.next()
    if (block === undefined) return
    const left = source.deletes.reduce(withoutTimes, block)
    if (left.times.length > 0) source.rest = left
  }
}

async function giveUp(source: Source, key: Uint8Array, onConflict: OnConflict): Promise<void> {
  for (; ; source.rest = undefined) {
    await refill(source)
    if (source.rest === undefined) return
    onConflict(key, source.rest.times.length)
  }
}

function takeUntil(source: Source, bound: bigint): Block | undefined {
  const { rest } = source
  if (rest === undefined) return undefined
  const { length } = rest.times
  const end = bound === MAX_TIME ? length : searchTime(rest.times, bound + 1n)
  source.rest = end === length ? undefined : sliceBlock(rest, end, length)
  return sliceBlock(rest, 0, end)
}

/** Lays blocks, oldest first, over each other; in halves, so that many of them are not copied many times. */
function overlay(blocks: readonly Block[]): Block {
  const [first, second] = blocks
  if (first === undefined) throw new SnapError('E_FAILED', 'no points to merge')
  if (second === undefined) return first
  const half = blocks.length >>> 1
  return mergeBlocks(overlay(blocks.slice(0, half)), overlay(blocks.slice(half)))
}

function earlier(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
