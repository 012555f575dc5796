// Fingerprints of points, see docs/formats/fingerprint.md: a hash of every point, added up, in two lanes of 64 bits.
//
// A state is four u64: the two seeds of the key, then the two sums.
import { readVarint, varint } from './bytes'
import { decodeFloats } from './floats'
import { decodeIntegers } from './integers'
import { isAscending } from './order'
import { decodeTimes } from './times'

const P1: u64 = 0x9e3779b185ebca87
const P2: u64 = 0xc2b2ae3d27d4eb4f
const P3: u64 = 0x165667b19e3779f9
const P4: u64 = 0x85ebca77c2b2ae63
const P5: u64 = 0x27d4eb2f165667c5

// @ts-ignore: decorator
@inline
function round(accumulator: u64, word: u64): u64 {
  return rotl<u64>(accumulator + word * P2, 31) * P1
}

// @ts-ignore: decorator
@inline
function fold(hash: u64, accumulator: u64): u64 {
  return (hash ^ round(0, accumulator)) * P1 + P4
}

// Hashes the whole stripes of 32 bytes at `ptr`; there is one at least.
function hashStripes(ptr: usize, end: usize, seed: u64): u64 {
  let a = seed + P1 + P2
  let b = seed + P2
  let c = seed
  let d = seed - P1
  for (; ptr + 32 <= end; ptr += 32) {
    a = round(a, load<u64>(ptr))
    b = round(b, load<u64>(ptr, 8))
    c = round(c, load<u64>(ptr, 16))
    d = round(d, load<u64>(ptr, 24))
  }
  const hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18)
  return fold(fold(fold(fold(hash, a), b), c), d)
}

// XXH64 of `length` bytes.
function xxh64(src: usize, length: u32, seed: u64): u64 {
  const end = src + length
  let hash = length >= 32 ? hashStripes(src, end, seed) : seed + P5
  let ptr = src + (length & ~31)
  hash += length
  for (; ptr + 8 <= end; ptr += 8) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(ptr)), 27) * P1 + P4
  }
  if (ptr + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(ptr) * P1), 23) * P2 + P3
    ptr += 4
  }
  for (; ptr < end; ptr++) hash = rotl<u64>(hash ^ (<u64>load<u8>(ptr) * P5), 11) * P1
  hash = (hash ^ (hash >> 33)) * P2
  hash = (hash ^ (hash >> 29)) * P3
  return hash ^ (hash >> 32)
}

// The finalizer of SplitMix64.
// @ts-ignore: decorator
@inline
function mix(value: u64): u64 {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb
  return value ^ (value >> 31)
}

/** Puts the seeds of a key, `length` bytes at `src`, whose type has the code `type`, into `state`. */
export function seedKey(src: usize, length: u32, type: u32, state: usize): void {
  store<u64>(state, xxh64(src, length, type << 1))
  store<u64>(state, xxh64(src, length, (type << 1) | 1), 8)
}

// Adds points whose values are `size` bytes each.
// @ts-ignore: decorator
@inline
function addPoints(times: usize, values: usize, count: u32, state: usize, size: usize): void {
  const seedA = load<u64>(state)
  const seedB = load<u64>(state, 8)
  let sumA = load<u64>(state, 16)
  let sumB = load<u64>(state, 24)
  for (const end = times + (<usize>count << 3); times < end; times += 8) {
    const time = load<u64>(times)
    const value: u64 = size == 8 ? load<u64>(values) : load<u8>(values)
    sumA += mix(mix(time ^ seedA) + value)
    sumB += mix(mix(time ^ seedB) + value)
    values += size
  }
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
}

/** Adds points with values of 64 bits. */
export function addWords(times: usize, values: usize, count: u32, state: usize): void {
  addPoints(times, values, count, state, 8)
}

/** Adds points with values of a byte, which are booleans. */
export function addBytes(times: usize, values: usize, count: u32, state: usize): void {
  addPoints(times, values, count, state, 1)
}

/** Adds points with strings; string `i` begins at `bytes + offsets[i]` and ends where the next begins. */
export function addStrings(
  times: usize,
  offsets: usize,
  bytes: usize,
  count: u32,
  state: usize,
): void {
  const seedA = load<u64>(state)
  const seedB = load<u64>(state, 8)
  let sumA = load<u64>(state, 16)
  let sumB = load<u64>(state, 24)
  for (const end = times + (<usize>count << 3); times < end; times += 8) {
    const from = load<u32>(offsets)
    const length = load<u32>(offsets, 4) - from
    const time = load<u64>(times)
    sumA += mix(mix(time ^ seedA) + xxh64(bytes + from, length, seedA))
    sumB += mix(mix(time ^ seedB) + xxh64(bytes + from, length, seedB))
    offsets += 4
  }
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
}

/**
 * Decodes an encoded block of 64-bit values, `length` bytes at `src`, to `dst` and adds its points, in one go. Returns how
 * many there were, or 0 and adds nothing if anything is out of the ordinary: another type, a wrong encoding, times that do
 * not ascend, or whose first and last are not the two words after the state.
 */
export function addBlock(src: usize, length: i32, dst: usize, limit: i32, state: usize): i32 {
  const end = src + length
  const type = load<u8>(src)
  if (type > 1 && type != 4) return 0
  const ptr = readVarint(src + 1, end)
  if (ptr == 0 || varint > <u64>(end - ptr)) return 0
  const timesLength = <i32>varint
  const count = decodeTimes(ptr, timesLength, dst, limit)
  if (count < 1 || isAscending(dst, count) == 0) return 0
  const values = dst + (<usize>count << 3)
  if (load<u64>(dst) != load<u64>(state, 32) || load<u64>(values - 8) != load<u64>(state, 40)) return 0
  const encoded = ptr + timesLength
  const rest = <i32>(end - encoded)
  const found =
    type == 0
      ? decodeFloats(encoded, rest, values, limit)
      : decodeIntegers(encoded, rest, values, limit)
  if (found != count) return 0
  addWords(dst, values, count, state)
  return count
}
