// simple8b: 64-bit words, 4 bits of selector, 60 bits of values, the first value in the lowest bits.
import { ERR_LIMIT } from './errors'
import { loadWord, storeWord } from './bytes'

// values per word and bits per value, by selector; selectors 0 and 1 stand for runs of the value one
const COUNTS = memory.data<u8>([240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1])
const BITS = memory.data<u8>([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60])
// by the width of a value, the first selector that holds it
const FIRST = memory.data<u8>([
  2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 11, 12, 12, 12, 13, 13, 13, 13, 13,
  14, 14, 14, 14, 14, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
  15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
])

export const MAX_PACKED: u64 = (1 << 60) - 1

/** Unpacks the words in [src, end) to `dst`; returns how many values, or ERR_LIMIT before any past `limit` is written. */
export function unpackWords(src: usize, end: usize, dst: usize, limit: i32): i32 {
  let count: i32 = 0
  for (let ptr = src; ptr < end; ptr += 8) {
    count += load<u8>(COUNTS + (load<u8>(ptr) >> 4))
    if (count > limit) return ERR_LIMIT
  }
  for (let ptr = src; ptr < end; ptr += 8) {
    let word = loadWord(ptr)
    const selector = <usize>(word >> 60)
    const n = <usize>load<u8>(COUNTS + selector)
    const last = dst + (n << 3)
    if (selector < 2) {
      for (; dst < last; dst += 8) store<u64>(dst, 1)
      continue
    }
    const bits = <u64>load<u8>(BITS + selector)
    const mask = (<u64>1 << bits) - 1
    for (; dst < last; dst += 8) {
      store<u64>(dst, word & mask)
      word >>= bits
    }
  }
  return count
}

// The end of the run of ones that begins at `ptr`.
function onesEnd(ptr: usize, end: usize): usize {
  while (ptr < end && load<u64>(ptr) == 1) ptr += 8
  return ptr
}

/**
 * Packs the values in [src, end) to `dst`; returns the address after the last word. No value may exceed MAX_PACKED.
 *
 * Takes the widest selector that fits, as influxd's encoder does, with its rule for runs of ones: they are packed as
 * a run only if everything the encoder looks at is ones, and it looks at `window` values ahead.
 */
export function packWords(src: usize, end: usize, dst: usize, window: usize): usize {
  let run = onesEnd(src, end)
  while (src < end) {
    const left = (end - src) >> 3
    const seen = min(left, window)
    if (run < src) run = onesEnd(src, end)
    if (seen >= 120 && (run - src) >> 3 >= seen) {
      const whole = seen >= 240
      storeWord(dst, whole ? 0 : <u64>1 << 60)
      src += whole ? 240 << 3 : 120 << 3
    } else {
      src = packWord(src, left, dst)
    }
    dst += 8
  }
  return dst
}

// Packs one word of the `left` values at `src`; returns the address of the first value that is not in it.
function packWord(src: usize, left: usize, dst: usize): usize {
  const least = <usize>load<u8>(FIRST + <usize>(64 - clz(load<u64>(src))))
  for (let selector = least; selector < 16; selector++) {
    const n = <usize>load<u8>(COUNTS + selector)
    if (n > left) continue
    const bits = <u64>load<u8>(BITS + selector)
    const stop = src + (n << 3)
    let word: u64 = <u64>selector << 60
    let shift: u64 = 0
    let ptr = src
    for (; ptr < stop; ptr += 8) {
      const value = load<u64>(ptr)
      if (value >> bits != 0) break
      word |= value << shift
      shift += bits
    }
    if (ptr == stop) {
      storeWord(dst, word)
      return stop
    }
  }
  unreachable()
  return 0
}
