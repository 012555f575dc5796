import { SnapError } from '../errors.ts'
import { isAscending, mergeTimes, sortTimes } from './kernels/kernels.ts'
import type { Block, StringColumn } from './values.ts'

// 64-bit values are moved as pairs of 32-bit lanes: floats keep every bit of a NaN, integers become no BigInt
function takeWords<T extends Float64Array | BigInt64Array | BigUint64Array>(
  source: T,
  target: T,
  indices: Uint32Array,
): T {
  const from = new Int32Array(source.buffer, source.byteOffset, source.length * 2)
  const to = new Int32Array(target.buffer, target.byteOffset, target.length * 2)
  for (let i = 0; i < indices.length; i++) {
    const at = (indices[i] ?? 0) * 2
    to[i * 2] = from[at] ?? 0
    to[i * 2 + 1] = from[at + 1] ?? 0
  }
  return target
}

function takeStrings({ offsets, bytes }: StringColumn, indices: Uint32Array): StringColumn {
  const taken = new Uint32Array(indices.length + 1)
  let size = 0
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i] ?? 0
    size += (offsets[at + 1] ?? 0) - (offsets[at] ?? 0)
    taken[i + 1] = size
  }
  const target = new Uint8Array(size)
  for (let i = 0; i < indices.length; i++) {
    const at = indices[i] ?? 0
    target.set(bytes.subarray(offsets[at], offsets[at + 1]), taken[i])
  }
  return { offsets: taken, bytes: target }
}

/** Returns the points at `indices`, in that order, in buffers of their own. */
export function takeBlock(block: Block, indices: Uint32Array): Block {
  const n = indices.length
  const times = takeWords(block.times, new BigInt64Array(n), indices)
  switch (block.type) {
    case 'float':
      return { type: 'float', times, values: takeWords(block.values, new Float64Array(n), indices) }
    case 'integer':
      return {
        type: 'integer',
        times,
        values: takeWords(block.values, new BigInt64Array(n), indices),
      }
    case 'unsigned':
      return {
        type: 'unsigned',
        times,
        values: takeWords(block.values, new BigUint64Array(n), indices),
      }
    case 'boolean': {
      const values = new Uint8Array(n)
      for (let i = 0; i < n; i++) values[i] = block.values[indices[i] ?? 0] ?? 0
      return { type: 'boolean', times, values }
    }
    case 'string':
      return { type: 'string', times, values: takeStrings(block.values, indices) }
  }
}

/**
 * Returns the points of an unordered block in ascending order; of points with equal times only the last stands.
 * A block that ascends already is returned itself.
 */
export function sortBlock(block: Block): Block {
  return isAscending(block.times) ? block : takeBlock(block, sortTimes(block.times))
}

/**
 * Returns the points of two ascending blocks of one type in ascending order; of points with equal times the newer
 * block's stands. If one is empty, the other is returned itself.
 * @throws SnapError `E_FORMAT` if the types differ
 */
export function mergeBlocks(older: Block, newer: Block): Block {
  if (newer.times.length === 0) return older
  if (older.times.length === 0) return newer
  if (endsBefore(older, newer)) return concatBlocks([older, newer])
  if (endsBefore(newer, older)) return concatBlocks([newer, older])
  return takeBlock(concatBlocks([older, newer]), mergeTimes(older.times, newer.times))
}

function endsBefore(a: Block, b: Block): boolean {
  return (a.times.at(-1) ?? 0n) < (b.times[0] ?? 0n)
}

/**
 * Returns the points of `blocks` one after the other, in buffers of their own unless it is one block.
 * @throws SnapError `E_FORMAT` if there is none or their types differ
 */
export function concatBlocks(blocks: readonly Block[]): Block {
  const [first] = blocks
  if (first === undefined) throw new SnapError('E_FORMAT', 'no blocks to join')
  if (blocks.length === 1) return first
  const n = blocks.reduce((sum, block) => sum + block.times.length, 0)
  const times = join(
    blocks.map((block) => block.times),
    new BigInt64Array(n),
  )
  switch (first.type) {
    case 'float': {
      const parts = columns(blocks, (b) => (b.type === 'float' ? b.values : undefined))
      return { type: 'float', times, values: join(parts, new Float64Array(n)) }
    }
    case 'integer': {
      const parts = columns(blocks, (b) => (b.type === 'integer' ? b.values : undefined))
      return { type: 'integer', times, values: join(parts, new BigInt64Array(n)) }
    }
    case 'unsigned': {
      const parts = columns(blocks, (b) => (b.type === 'unsigned' ? b.values : undefined))
      return { type: 'unsigned', times, values: join(parts, new BigUint64Array(n)) }
    }
    case 'boolean': {
      const parts = columns(blocks, (b) => (b.type === 'boolean' ? b.values : undefined))
      return { type: 'boolean', times, values: join(parts, new Uint8Array(n)) }
    }
    case 'string': {
      const parts = columns(blocks, (b) => (b.type === 'string' ? b.values : undefined))
      return { type: 'string', times, values: joinStrings(parts, n) }
    }
  }
}

// Returns the columns of `blocks`; `pick` knows the one type they must have.
function columns<Column>(
  blocks: readonly Block[],
  pick: (block: Block) => Column | undefined,
): Column[] {
  return blocks.map((block) => {
    const column = pick(block)
    if (column !== undefined) return column
    throw new SnapError('E_FORMAT', `${blocks[0]?.type} and ${block.type} values of one field`)
  })
}

type Column = BigInt64Array | BigUint64Array | Float64Array | Uint8Array

// Copies `parts` one after the other into `target`, which is as long as all of them.
function join<T extends Column>(parts: readonly T[], target: T): T {
  const bytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength)
  let at = 0
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at)
    at += part.byteLength
  }
  return target
}

function joinStrings(parts: readonly StringColumn[], count: number): StringColumn {
  const offsets = new Uint32Array(count + 1)
  const used = parts.map(({ offsets, bytes }) => bytes.subarray(offsets[0], offsets.at(-1)))
  let base = 0
  let at = 1
  parts.forEach((part, p) => {
    const first = part.offsets[0] ?? 0
    for (let i = 1; i < part.offsets.length; i++) {
      offsets[at++] = base + (part.offsets[i] ?? 0) - first
    }
    base += used[p]?.length ?? 0
  })
  return { offsets, bytes: join(used, new Uint8Array(base)) }
}
