// Timestamps. The first byte holds the encoding (high 4 bits) and, but for raw, log10 of the scale (low 4 bits).
//
//   0 raw     | i64 first | i64 delta ...                       deltas unscaled
//   1 packed  | i64 first | simple8b words of delta / scale
//   2 run     | i64 first | varint delta / scale | varint count
import { ERR_ENCODING, ERR_LIMIT, ERR_SHORT, ERR_TRAILING, ERR_VARINT } from './errors'
import { loadWord, readVarint, storeWord, varint, writeVarint } from './bytes'
import { MAX_PACKED, packWords, unpackWords } from './simple8b'

// influxd's encoder tries no scale above this
const MAX_SCALE: u64 = 1_000_000_000_000
// influxd packs times from a buffer of this many
const WINDOW: usize = 240

function power10(exponent: u32): u64 {
  let power: u64 = 1
  for (; exponent > 0; exponent--) power *= 10
  return power
}

function log10(power: u64): u8 {
  let exponent: u8 = 0
  for (; power > 1; power /= 10) exponent++
  return exponent
}

function prefixSum(dst: usize, count: i32, scale: u64): void {
  let time = load<u64>(dst)
  const end = dst + (<usize>count << 3)
  for (let ptr = dst + 8; ptr < end; ptr += 8) {
    time += load<u64>(ptr) * scale
    store<u64>(ptr, time)
  }
}

function decodeRaw(src: usize, length: i32, dst: usize, limit: i32): i32 {
  if ((length & 7) != 0) return ERR_SHORT
  const count = length >> 3
  if (count > limit) return ERR_LIMIT
  for (let i: usize = 0; i < <usize>length; i += 8) store<u64>(dst + i, loadWord(src + i))
  prefixSum(dst, count, 1)
  return count
}

function decodeRun(src: usize, end: usize, dst: usize, limit: i32): i32 {
  const scale = power10(load<u8>(src) & 15)
  let time = loadWord(src + 1)
  let ptr = readVarint(src + 9, end)
  if (ptr == 0) return ERR_VARINT
  const delta = varint * scale
  ptr = readVarint(ptr, end)
  if (ptr == 0) return ERR_VARINT
  if (ptr != end) return ERR_TRAILING
  if (varint > <u64>limit) return ERR_LIMIT
  const count = <i32>varint
  const last = dst + (<usize>count << 3)
  for (; dst < last; dst += 8) {
    store<u64>(dst, time)
    time += delta
  }
  return count
}

/** Decodes `length` bytes at `src`; returns the count of i64 times at `dst`. */
export function decodeTimes(src: usize, length: i32, dst: usize, limit: i32): i32 {
  if (length < 1) return ERR_SHORT
  const encoding = load<u8>(src) >> 4
  if (encoding == 0) return decodeRaw(src + 1, length - 1, dst, limit)
  if (encoding > 2) return ERR_ENCODING
  if (length < 9) return ERR_SHORT
  const end = src + length
  if (encoding == 2) return decodeRun(src, end, dst, limit)
  if (((length - 9) & 7) != 0) return ERR_SHORT
  store<u64>(dst, loadWord(src + 1))
  const count = unpackWords(src + 9, end, dst + 8, limit - 1)
  if (count < 0) return count
  prefixSum(dst, count + 1, power10(load<u8>(src) & 15))
  return count + 1
}

/** Encodes `count` (one or more) i64 times at `src`, which it overwrites; returns the length of the bytes at `dst`. */
export function encodeTimes(src: usize, count: i32, dst: usize): i32 {
  const end = src + (<usize>count << 3)
  let largest: u64 = 0
  let scale = MAX_SCALE
  let run = count > 1
  for (let ptr = end - 8; ptr > src; ptr -= 8) {
    const delta = load<u64>(ptr) - load<u64>(ptr - 8)
    store<u64>(ptr, delta)
    largest = max(largest, delta)
    while (scale > 1 && delta % scale != 0) scale /= 10
    if (ptr + 8 < end && load<u64>(ptr + 8) != delta) run = false
  }
  if (run) {
    store<u8>(dst, (2 << 4) | log10(scale))
    storeWord(dst + 1, load<u64>(src))
    const after = writeVarint(dst + 9, load<u64>(src + 8) / scale)
    return <i32>(writeVarint(after, count) - dst)
  }
  if (largest > MAX_PACKED) {
    store<u8>(dst, 0)
    for (let i: usize = 0; src + i < end; i += 8) storeWord(dst + 1 + i, load<u64>(src + i))
    return 1 + (count << 3)
  }
  if (scale > 1) {
    for (let ptr = src + 8; ptr < end; ptr += 8) store<u64>(ptr, load<u64>(ptr) / scale)
  }
  store<u8>(dst, (1 << 4) | log10(scale))
  storeWord(dst + 1, load<u64>(src))
  return <i32>(packWords(src + 8, end, dst + 9, WINDOW) - dst)
}
