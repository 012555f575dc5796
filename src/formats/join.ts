import { type Block, MAX_TIME, searchTime, sliceBlock } from '../tsm/values.ts'
import { wordsOf } from './value-text.ts'

/** Rows of one series: the values of its fields at the same times, side by side. */
export interface Rows {
  /** Strictly ascending, nanoseconds since the epoch. */
  readonly times: BigInt64Array
  readonly cells: readonly Cells[]
}

/** What one field has in these rows. */
export interface Cells {
  /** Which of the fields that were joined. */
  readonly field: number
  readonly block: Block
  /** The row of each value; undefined if there is one in every row. */
  readonly rows: Uint32Array | undefined
}

interface Cursor {
  readonly field: number
  readonly blocks: AsyncIterator<Block>
  /** What is left of the last block. */
  block: Block | undefined
}

/**
 * Joins the fields of a series by time. Holds one block of each. A part of them is given at a time: up to where the
 * first block of any ends.
 */
export async function* joinByTime(
  fields: readonly AsyncIterable<Block>[],
): AsyncGenerator<Rows, void, undefined> {
  const cursors = fields.map(
    (blocks, field): Cursor => ({
      field,
      blocks: blocks[Symbol.asyncIterator](),
      block: undefined,
    }),
  )
  try {
    let open = await refill(cursors)
    while (open.length > 0) {
      yield joinWindow(open)
      open = await refill(open)
    }
  } finally {
    for (const { blocks } of cursors) await blocks.return?.()
  }
}

/** Reads the next block where none is left, and returns the cursors that have one. */
async function refill(cursors: readonly Cursor[]): Promise<Cursor[]> {
  const open: Cursor[] = []
  for (const cursor of cursors) {
    while (cursor.block === undefined) {
      const next = await cursor.blocks.next()
      if (next.done === true) break
      if (next.value.times.length > 0) cursor.block = next.value
    }
    if (cursor.block !== undefined) open.push(cursor)
  }
  return open
}

function joinWindow(cursors: readonly Cursor[]): Rows {
  let limit = MAX_TIME
  for (const { block } of cursors) {
    const last = block?.times.at(-1)
    if (last !== undefined && last < limit) limit = last
  }
  const parts = cursors.flatMap((cursor) => takeUntil(cursor, limit))
  const columns: BigInt64Array[] = []
  const columnOf = parts.map(({ block: { times } }) => {
    const known = columns.findIndex((column) => isSame(column, times))
    return known < 0 ? columns.push(times) - 1 : known
  })
  const [only] = columns
  if (only !== undefined && columns.length === 1) {
    return { times: only, cells: parts.map((part) => ({ ...part, rows: undefined })) }
  }
  const times = unionOf(columns)
  const rows = columns.map((column) => rowsOf(column, times))
  return { times, cells: parts.map((part, i) => ({ ...part, rows: rows[columnOf[i] ?? 0] })) }
}

function takeUntil(cursor: Cursor, limit: bigint): { field: number; block: Block }[] {
  const { field, block } = cursor
  if (block === undefined) return []
  const end = block.times.length
  const to = limit === MAX_TIME ? end : searchTime(block.times, limit + 1n)
  if (to === 0) return []
  cursor.block = to === end ? undefined : sliceBlock(block, to, end)
  return [{ field, block: to === end ? block : sliceBlock(block, 0, to) }]
}

function isSame(a: BigInt64Array, b: BigInt64Array): boolean {
  return a.length === b.length && Buffer.compare(bytesOf(a), bytesOf(b)) === 0
}

function bytesOf(times: BigInt64Array): Uint8Array {
  return new Uint8Array(times.buffer, times.byteOffset, times.byteLength)
}

/** Returns the times of several columns in ascending order, each once. */
export function unionOf(columns: readonly BigInt64Array[]): BigInt64Array {
  const all = new BigInt64Array(columns.reduce((count, { length }) => count + length, 0))
  let at = 0
  for (const column of columns) {
    all.set(column, at)
    at += column.length
  }
  all.sort()
  const words = wordsOf(all)
  let kept = 0
  for (let i = 0; i < all.length; i += 1) {
    const low = words[2 * i] ?? 0
    const high = words[2 * i + 1] ?? 0
    if (kept > 0 && words[2 * kept - 2] === low && words[2 * kept - 1] === high) continue
    words[2 * kept] = low
    words[2 * kept + 1] = high
    kept += 1
  }
  return all.subarray(0, kept)
}

/** Returns where each of `times` is in `union`, which holds all of them; both ascend. */
function rowsOf(times: BigInt64Array, union: BigInt64Array): Uint32Array {
  const rows = new Uint32Array(times.length)
  const wanted = wordsOf(times)
  const words = wordsOf(union)
  let row = 0
  for (let i = 0; i < rows.length; i += 1) {
    while (words[2 * row] !== wanted[2 * i] || words[2 * row + 1] !== wanted[2 * i + 1]) row += 1
    rows[i] = row
    row += 1
  }
  return rows
}
