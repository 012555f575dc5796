// Integers, signed and unsigned: zigzag of the difference to the value before (of the value itself for the first).
//
//   0 raw     | u64 zigzag ...
//   1 packed  | u64 zigzag of the first | simple8b words
//   2 run     | u64 zigzag of the first | varint zigzag of the delta | varint count - 1
import { ERR_ENCODING, ERR_LIMIT, ERR_SHORT, ERR_TRAILING, ERR_VARINT } from './errors'
import { loadWord, readVarint, storeWord, varint, writeVarint } from './bytes'
import { MAX_PACKED, packWords, unpackWords } from './simple8b'

// @ts-ignore: decorator
@inline
function unzigzag(value: u64): u64 {
  return (value >> 1) ^ (0 - (value & 1))
}

// @ts-ignore: decorator
@inline
function zigzag(value: u64): u64 {
  return (value << 1) ^ <u64>(<i64>value >> 63)
}

function prefixSum(dst: usize, count: i32): void {
  let value: u64 = 0
  const end = dst + (<usize>count << 3)
  for (; dst < end; dst += 8) {
    value += unzigzag(load<u64>(dst))
    store<u64>(dst, value)
  }
}

function decodeRaw(src: usize, length: i32, dst: usize, limit: i32): i32 {
  if ((length & 7) != 0) return ERR_SHORT
  const count = length >> 3
  if (count > limit) return ERR_LIMIT
  for (let i: usize = 0; i < <usize>length; i += 8) store<u64>(dst + i, loadWord(src + i))
  prefixSum(dst, count)
  return count
}

function decodeRun(src: usize, end: usize, dst: usize, limit: i32): i32 {
  let value = unzigzag(loadWord(src))
  let ptr = readVarint(src + 8, end)
  if (ptr == 0) return ERR_VARINT
  const delta = unzigzag(varint)
  ptr = readVarint(ptr, end)
  if (ptr == 0) return ERR_VARINT
  if (ptr != end) return ERR_TRAILING
  if (varint >= <u64>limit) return ERR_LIMIT
  const count = <i32>varint + 1
  const last = dst + (<usize>count << 3)
  for (; dst < last; dst += 8) {
    store<u64>(dst, value)
    value += delta
  }
  return count
}

/** Decodes `length` bytes at `src`; returns the count of 64-bit integers at `dst`. */
export function decodeIntegers(src: usize, length: i32, dst: usize, limit: i32): i32 {
  if (length < 1) return ERR_SHORT
  const encoding = load<u8>(src) >> 4
  if (encoding == 0) return decodeRaw(src + 1, length - 1, dst, limit)
  if (encoding > 2) return ERR_ENCODING
  if (length < 9) return ERR_SHORT
  const end = src + length
  if (encoding == 2) return decodeRun(src + 1, end, dst, limit)
  if (((length - 9) & 7) != 0) return ERR_SHORT
  store<u64>(dst, loadWord(src + 1))
  const count = unpackWords(src + 9, end, dst + 8, limit - 1)
  if (count < 0) return count
  prefixSum(dst, count + 1)
  return count + 1
}

/** Encodes `count` (one or more) integers at `src`, which it overwrites; returns the length of the bytes at `dst`. */
export function encodeIntegers(src: usize, count: i32, dst: usize): i32 {
  const end = src + (<usize>count << 3)
  let largest: u64 = 0
  let run = count > 2
  for (let ptr = end - 8; ptr > src; ptr -= 8) {
    const delta = zigzag(load<u64>(ptr) - load<u64>(ptr - 8))
    store<u64>(ptr, delta)
    largest = max(largest, delta)
    if (ptr + 8 < end && load<u64>(ptr + 8) != delta) run = false
  }
  const first = zigzag(load<u64>(src))
  store<u64>(src, first)
  if (run) {
    store<u8>(dst, 2 << 4)
    storeWord(dst + 1, first)
    const after = writeVarint(dst + 9, load<u64>(src + 8))
    return <i32>(writeVarint(after, count - 1) - dst)
  }
  // the first value is never packed, yet influxd lets it decide
  if (max(largest, first) > MAX_PACKED) {
    store<u8>(dst, 0)
    for (let i: usize = 0; src + i < end; i += 8) storeWord(dst + 1 + i, load<u64>(src + i))
    return 1 + (count << 3)
  }
  store<u8>(dst, 1 << 4)
  storeWord(dst + 1, first)
  return <i32>(packWords(src + 8, end, dst + 9, count) - dst)
}
