import { snappyCompressor } from 'hysnappy'
import { asSnapError, SnapError } from '../../errors.ts'
import { unpackSnappy } from '../kernels/kernels.ts'
import { readVarint } from './varint.ts'

/** Most bytes that are decompressed at once: 1,000 strings of 1 MiB, the longest influxd stores, fit. */
export const MAX_SNAPPY_SIZE = 1024 * 1024 * 1024

// the widest element, a copy of 64 bytes, takes three: no input can hold more than this many times its size
const MAX_RATIO = 64 / 3

// an instance keeps the memory of its largest call, so a large one gets an instance of its own
const SHARED_LIMIT = 16 * 1024 * 1024

let compressor: ReturnType<typeof snappyCompressor> | undefined

/**
 * Decompresses one snappy block.
 * @returns bytes of their own
 * @throws SnapError `E_FORMAT`, its message begins with `where`
 */
export function snappyDecode(bytes: Uint8Array, where: string): Uint8Array {
  const size = readVarint(bytes, 0)?.value
  if (size === undefined) throw new SnapError('E_FORMAT', `${where}: no snappy length`)
  const limit = Math.min(MAX_SNAPPY_SIZE, Math.ceil(bytes.length * MAX_RATIO))
  if (size > limit) {
    const message = `${where}: ${bytes.length} snappy bytes claim to hold ${size}, at most ${limit} fit`
    throw new SnapError('E_FORMAT', message)
  }
  try {
    return unpackSnappy(bytes, size, where)
  } catch (error) {
    throw asSnapError(error, 'E_FORMAT', where)
  }
}

/** Compresses `bytes` as one snappy block of its own bytes. */
export function snappyEncode(bytes: Uint8Array): Uint8Array {
  if (bytes.length > SHARED_LIMIT) return snappyCompressor()(bytes)
  compressor ??= snappyCompressor()
  return compressor(bytes)
}
