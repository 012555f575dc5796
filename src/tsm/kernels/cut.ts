import { snappyEncode } from '../codecs/snappy.ts'
import { MAX_BLOCK_VALUES } from '../format.ts'
import type { TimeRange } from '../values.ts'
import { align, BASE, COLUMNS, SHARED_SIZE, SLACK, sharedMemory } from './kernels.ts'

/** A block that was cut: none if nothing of it was wanted. Its bytes are a view, right until the next call of any kernel. */
export type CutBlock = (TimeRange & { readonly bytes: Uint8Array }) | undefined

/** Bytes that a point takes in the kernel at most: time and value, decoded and encoded; and what else it needs. */
const POINT = 34
const MARGIN = 256

/**
 * Cuts an encoded block to the points inside `range`, with the bytes that decoding it and encoding them would give, without
 * handing them out.
 * @param times first and last time of the block, as the index has them
 * @returns false unless it is a block that decodes, not huge, whose times ascend from the first to the last, of values that can
 * be encoded
 */
export function cutEncoded(
  block: Uint8Array,
  times: TimeRange,
  range: TimeRange,
): CutBlock | false {
  const dst = align(COLUMNS + block.length + SLACK)
  const limit = Math.min(MAX_BLOCK_VALUES, Math.floor((SHARED_SIZE - dst - MARGIN) / POINT))
  if (limit < 1) return false
  const { kernels, bytes, words: state } = sharedMemory()
  // the range, two words that the kernel does not use, first and last time of the block
  state[0] = range.minTime
  state[1] = range.maxTime
  state[4] = times.minTime
  state[5] = times.maxTime
  bytes.set(block, COLUMNS)
  // what an earlier call left there must not decide how this one ends
  bytes.fill(0, COLUMNS + block.length, dst)
  const length = kernels.cutBlock(COLUMNS, block.length, dst, limit, BASE)
  if (length < 0) return false
  if (length === 0) return undefined
  const at = kernels.cutAt.value
  const cut = bytes.subarray(at, at + length)
  const [minTime = 0n, maxTime = 0n] = state
  const texts = bytes.subarray(kernels.textsAt.value, kernels.textsEnd.value)
  return { minTime, maxTime, bytes: texts.length === 0 ? cut : joined(cut, snappyEncode(texts)) }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length)
  bytes.set(head)
  bytes.set(tail, head.length)
  return bytes
}
