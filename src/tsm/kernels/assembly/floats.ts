// Floats: XOR with the value before, as in Facebook's Gorilla. One byte 0x10, then a bit stream, highest bit first:
// the first value in 64 bits, then per value
//
//   0                                                  the same value again
//   10  significant bits                               in the window of the value before
//   11  leading zeros (5)  window width (6)  bits      a new window; a width of 64 is written as 0
//
// and at the end the one NaN that ends the stream, padded with zero bits to a byte.
import { ERR_ENCODING, ERR_LIMIT, ERR_NAN, ERR_SHORT, ERR_WINDOW } from './errors'
import { loadWord, storeWord } from './bytes'

export const GORILLA: u8 = 1 << 4
export const END: u64 = 0x7ff8000000000001

/** Returns the 64 bits that begin at bit `position` of `src`. */
// @ts-ignore: decorator
@inline
export function peek(src: usize, position: u64): u64 {
  const ptr = src + <usize>(position >> 3)
  const shift = position & 7
  // shifted in two steps, so that a shift of 8 stays one
  return (loadWord(ptr) << shift) | (((<u64>load<u8>(ptr + 8)) << shift) >> 8)
}

/** Decodes `length` bytes at `src`; returns the count of f64 values at `dst`. */
export function decodeFloats(src: usize, length: i32, dst: usize, limit: i32): i32 {
  if (length < 9) return ERR_SHORT
  if (load<u8>(src) != GORILLA) return ERR_ENCODING
  src++
  const end: u64 = (<u64>length - 1) << 3
  let value = loadWord(src)
  let position: u64 = 64
  let width: u64 = 64
  let trailing: u64 = 0
  let count: i32 = 0
  while (value != END) {
    if (count == limit) return ERR_LIMIT
    store<u64>(dst + (<usize>count << 3), value)
    count++
    let control = peek(src, position)
    if (<i64>control >= 0) {
      position += 1
      if (position > end) return ERR_SHORT
      continue
    }
    if ((control & (<u64>1 << 62)) != 0) {
      const leading = (control >> 57) & 31
      width = (control >> 51) & 63
      if (width == 0) width = 64
      if (leading + width > 64) return ERR_WINDOW
      trailing = 64 - leading - width
      position += 13
    } else {
      position += 2
    }
    if (position + width > end) return ERR_SHORT
    value ^= (peek(src, position) >> (64 - width)) << trailing
    position += width
  }
  return count
}

// The bit stream being written: full words go to memory, `pending` holds the bits after them, highest first.
let out: usize = 0
let pending: u64 = 0
let used: u64 = 0

// Appends the lowest `width` bits (1 to 64) of `bits`, which has no others set.
// @ts-ignore: decorator
@inline
function put(bits: u64, width: u64): void {
  const room = 64 - used
  if (width < room) {
    pending |= bits << (room - width)
    used += width
    return
  }
  const over = width - room
  storeWord(out, pending | (bits >> over))
  out += 8
  used = over
  pending = over == 0 ? 0 : bits << (64 - over)
}

/** Encodes `count` (one or more) f64 at `src`; returns the length of the bytes at `dst`, or ERR_NAN. */
export function encodeFloats(src: usize, count: i32, dst: usize): i32 {
  store<u8>(dst, GORILLA)
  out = dst + 1
  pending = 0
  used = 0
  let before: u64 = load<u64>(src)
  if (isNaN(reinterpret<f64>(before))) return ERR_NAN
  put(before, 64)
  let leading: u64 = 64
  let trailing: u64 = 0
  for (let i: i32 = 1; i <= count; i++) {
    let value = END
    if (i < count) {
      value = load<u64>(src + (<usize>i << 3))
      if (isNaN(reinterpret<f64>(value))) return ERR_NAN
    }
    const delta = value ^ before
    before = value
    if (delta == 0) {
      put(0, 1)
      continue
    }
    // only 5 bits are kept of the count, so 32 leading zeros are written as none
    const zeros = clz(delta) & 31
    const end = ctz(delta)
    if (zeros >= leading && end >= trailing) {
      put(2, 2)
    } else {
      leading = zeros
      trailing = end
      put(3, 2)
      put((leading << 6) | ((64 - leading - trailing) & 63), 11)
    }
    put(delta >> trailing, 64 - leading - trailing)
  }
  const tail = <usize>((used + 7) >> 3)
  storeWord(out, pending)
  return <i32>(out + tail - dst)
}
