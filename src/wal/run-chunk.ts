import type { FieldType } from '../tsm/format.ts'
import type { Block } from '../tsm/values.ts'

/** Most points of a chunk: what is in memory of each run while runs are merged. */
const CHUNK_POINTS = 2048
/** Most bytes of strings in a chunk, unless one string alone is longer. */
const CHUNK_BYTES = 64 * 1024

/** Bytes before a chunk: uint32 points, uint32 size of what follows; little-endian. */
export const CHUNK_HEADER_SIZE = 8

/** Returns where the chunk that begins at point `from` of `block` ends. */
export function chunkEnd(block: Block, from: number): number {
  const limit = Math.min(block.times.length, from + CHUNK_POINTS)
  if (block.type !== 'string') return limit
  const { offsets } = block.values
  let to = from + 1
  while (to < limit && (offsets[to + 1] ?? 0) - (offsets[from] ?? 0) <= CHUNK_BYTES) to += 1
  return to
}

/** Encodes points as a chunk: its header, times, values, all as they are in memory. Views over `block` where possible. */
export function encodeChunk(block: Block): Uint8Array[] {
  const parts = [bytesOf(block.times), ...encodeValues(block)]
  const header = Buffer.alloc(CHUNK_HEADER_SIZE)
  header.writeUInt32LE(block.times.length, 0)
  header.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, 0),
    4,
  )
  return [header, ...parts]
}

function encodeValues(block: Block): Uint8Array[] {
  if (block.type !== 'string') return [bytesOf(block.values)]
  const { offsets, bytes } = block.values
  const first = offsets[0] ?? 0
  return [bytesOf(offsets.map((offset) => offset - first)), bytes.subarray(first, offsets.at(-1))]
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Decodes what follows a chunk's header; the block is a view over `buffer`. */
export function decodeChunk(type: FieldType, points: number, buffer: ArrayBuffer): Block {
  const times = new BigInt64Array(buffer, 0, points)
  const start = times.byteLength
  switch (type) {
    case 'float':
      return { type, times, values: new Float64Array(buffer, start, points) }
    case 'integer':
      return { type, times, values: new BigInt64Array(buffer, start, points) }
    case 'unsigned':
      return { type, times, values: new BigUint64Array(buffer, start, points) }
    case 'boolean':
      return { type, times, values: new Uint8Array(buffer, start, points) }
    case 'string': {
      const offsets = new Uint32Array(buffer, start, points + 1)
      const bytes = new Uint8Array(buffer, start + offsets.byteLength)
      return { type, times, values: { offsets, bytes } }
    }
  }
}
