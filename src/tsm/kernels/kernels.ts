import { SnapError } from '../../errors.ts'
import { MAX_BLOCK_VALUES } from '../format.ts'
import { KERNELS_WASM } from './kernels.gen.ts'

/** A column of 64-bit values as it lies in memory. */
export type WordColumn = BigInt64Array | BigUint64Array | Float64Array

/** What the module exports: addresses and lengths in bytes, counts in values. */
export interface Kernels {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  decodeTimes(src: number, length: number, dst: number, limit: number): number
  decodeIntegers(src: number, length: number, dst: number, limit: number): number
  decodeFloats(src: number, length: number, dst: number, limit: number): number
  encodeTimes(src: number, count: number, dst: number): number
  encodeIntegers(src: number, count: number, dst: number): number
  encodeFloats(src: number, count: number, dst: number): number
  isAscending(src: number, count: number): number
  mergeTimes(src: number, older: number, newer: number, dst: number): number
  sortTimes(src: number, count: number, dst: number, spare: number): number
  unpackSnappy(src: number, length: number, dst: number, room: number): number
  seedKey(src: number, length: number, type: number, state: number): void
  addWords(times: number, values: number, count: number, state: number): void
  addBytes(times: number, values: number, count: number, state: number): void
  addStrings(times: number, offsets: number, bytes: number, count: number, state: number): void
  writeLines(
    ...[type, from, count, prefix, length, times, values, texts, dst, end]: readonly number[]
  ): number
  readonly linesEnd: { readonly value: number }
  addBlock(src: number, length: number, dst: number, limit: number, state: number): number
  cutBlock(src: number, length: number, dst: number, limit: number, state: number): number
  readonly cutAt: { readonly value: number }
  readonly textsAt: { readonly value: number }
  readonly textsEnd: { readonly value: number }
}

// of the JavaScript API only what is used here: the node types do not have it
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: Kernels }
}

const PAGE = 65_536
/** First byte that the kernels do not use themselves. */
export const BASE = 2048
/** Words of a fingerprint's state, and two more: first and last time of a block. */
const STATE_WORDS = 6
/** Where columns and blocks lie, after these words. */
export const COLUMNS = BASE + STATE_WORDS * 8
/** Decoders read ahead, encoders write their last word whole. */
export const SLACK = 32
// a float takes at most 77 bits, any other value at most 64
const MAX_ENCODED = MAX_BLOCK_VALUES * 10
/** Bytes of the memory that blocks share. */
export const SHARED_SIZE = BASE + MAX_ENCODED + MAX_BLOCK_VALUES * 8 + 2 * SLACK

const REASONS: Readonly<Record<number, string>> = {
  [-1]: 'ends inside a value',
  [-2]: 'unknown encoding',
  [-3]: `more than ${MAX_BLOCK_VALUES} values`,
  [-4]: 'a varint is cut or too long',
  [-5]: 'bytes after the last value',
  [-6]: 'holds NaN, which the format has no place for',
  [-7]: 'a window of more than 64 bits',
  [-8]: 'snappy that copies what is not there, or is longer than it says',
}

const module = new WebAssembly.Module(Buffer.from(KERNELS_WASM, 'base64'))

function instantiate(size: number): Kernels {
  const { exports } = new WebAssembly.Instance(module)
  exports.memory.grow(Math.ceil(size / PAGE) - exports.memory.buffer.byteLength / PAGE)
  return exports
}

let shared: Kernels | undefined

// Blocks share one memory, of which only touched pages exist; what is larger gets its own, to be collected after it.
export function kernelsFor(size: number): Kernels {
  if (size > SHARED_SIZE) return instantiate(size)
  shared ??= instantiate(SHARED_SIZE)
  return shared
}

/** The memory that blocks share, as kernels that take a whole block see it. */
export interface SharedMemory {
  readonly kernels: Kernels
  readonly bytes: Uint8Array
  /** The words before {@link COLUMNS}, and the same without a sign. */
  readonly words: BigInt64Array
  readonly unsignedWords: BigUint64Array
}

let sharedViews: SharedMemory | undefined

/** Returns views of the memory that blocks share. They are made once: to make them takes as long as a short block. */
export function sharedMemory(): SharedMemory {
  if (sharedViews !== undefined) return sharedViews
  const kernels = kernelsFor(SHARED_SIZE)
  const { buffer } = kernels.memory
  sharedViews = {
    kernels,
    bytes: new Uint8Array(buffer),
    words: new BigInt64Array(buffer, BASE, STATE_WORDS),
    unsignedWords: new BigUint64Array(buffer, BASE, STATE_WORDS),
  }
  return sharedViews
}

export function align(offset: number): number {
  return (offset + 7) & ~7
}

/**
 * Decodes a column of 64-bit values.
 * @returns the values, in a buffer of their own
 * @throws SnapError `E_FORMAT`, its message begins with `where`
 */
export function decodeWords(
  kernel: 'decodeTimes' | 'decodeIntegers' | 'decodeFloats',
  bytes: Uint8Array,
  where: string,
): ArrayBuffer {
  let result = -3
  if (bytes.length <= MAX_ENCODED) {
    const kernels = kernelsFor(SHARED_SIZE)
    const { buffer } = kernels.memory
    const input = new Uint8Array(buffer, BASE, bytes.length + SLACK)
    input.set(bytes)
    // what an earlier call left there must not decide how this one fails
    input.fill(0, bytes.length)
    const dst = align(BASE + bytes.length + SLACK)
    result = kernels[kernel](BASE, bytes.length, dst, MAX_BLOCK_VALUES)
    if (result >= 0) return buffer.slice(dst, dst + result * 8)
  }
  throw new SnapError('E_FORMAT', `${where}: ${REASONS[result]}`)
}

/**
 * Encodes a column of 1 to {@link MAX_BLOCK_VALUES} 64-bit values.
 * @returns bytes of their own
 * @throws SnapError `E_FAILED` if there are too many or none, or a float is NaN
 */
export function encodeWords(
  kernel: 'encodeTimes' | 'encodeIntegers' | 'encodeFloats',
  column: WordColumn,
  where: string,
): Uint8Array {
  const count = column.length
  if (count === 0 || count > MAX_BLOCK_VALUES) {
    throw new SnapError('E_FAILED', `${where}: ${count} values, expected 1 to ${MAX_BLOCK_VALUES}`)
  }
  const kernels = kernelsFor(SHARED_SIZE)
  const { buffer } = kernels.memory
  copyIn(column, buffer, BASE)
  const dst = BASE + count * 8
  const result = kernels[kernel](BASE, count, dst)
  if (result < 0) throw new SnapError('E_FAILED', `${where}: ${REASONS[result]}`)
  return new Uint8Array(buffer.slice(dst, dst + result))
}

export function copyIn(
  column: WordColumn | Uint32Array | Uint8Array,
  buffer: ArrayBuffer,
  offset: number,
): void {
  const bytes = new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
  new Uint8Array(buffer, offset, bytes.length).set(bytes)
}

/** Says whether `times` are strictly ascending. */
export function isAscending(times: BigInt64Array): boolean {
  const kernels = kernelsFor(BASE + times.byteLength)
  copyIn(times, kernels.memory.buffer, BASE)
  return kernels.isAscending(BASE, times.length) === 1
}

/**
 * Returns the order that merges two strictly ascending columns: indices into `older` followed by `newer`. Of equal
 * times the newer stands.
 */
export function mergeTimes(older: BigInt64Array, newer: BigInt64Array): Uint32Array {
  const count = older.length + newer.length
  const kernels = kernelsFor(BASE + count * 12)
  const { buffer } = kernels.memory
  copyIn(older, buffer, BASE)
  copyIn(newer, buffer, BASE + older.byteLength)
  const dst = BASE + count * 8
  const merged = kernels.mergeTimes(BASE, older.length, newer.length, dst)
  return new Uint32Array(buffer.slice(dst, dst + merged * 4))
}

/** Returns the indices that put `times` in ascending order; of equal times only the last stands. */
export function sortTimes(times: BigInt64Array): Uint32Array {
  const count = times.length
  const kernels = kernelsFor(BASE + count * 16)
  const { buffer } = kernels.memory
  copyIn(times, buffer, BASE)
  const dst = BASE + count * 8
  const kept = kernels.sortTimes(BASE, count, dst, dst + count * 4)
  return new Uint32Array(buffer.slice(dst, dst + kept * 4))
}

/**
 * Decompresses one snappy block.
 * @param size what it says it holds, in bytes
 * @returns bytes of their own
 * @throws SnapError `E_FORMAT`, its message begins with `where`
 */
export function unpackSnappy(bytes: Uint8Array, size: number, where: string): Uint8Array {
  const dst = BASE + bytes.length + SLACK
  const kernels = kernelsFor(dst + size + SLACK)
  const { buffer } = kernels.memory
  copyIn(bytes, buffer, BASE)
  const result = kernels.unpackSnappy(BASE, bytes.length, dst, size)
  if (result < 0) throw new SnapError('E_FORMAT', `${where}: ${REASONS[result]}`)
  return new Uint8Array(buffer.slice(dst, dst + result))
}
