// Fingerprints of encoded blocks: every point is added as its value is decoded. The memory after the times is scratch.
import { loadWord, readVarint, varint } from './bytes'
import { addWords, hashA, hashB, hashBytes, hashPoint, P1 } from './fingerprint'
import { END, GORILLA, peek } from './floats'
import { decodeIntegers } from './integers'
import { isAscending } from './order'
import { unpackSnappy } from './snappy'
import { decodeTimes } from './times'

const BIT_PACKED: u8 = 1 << 4
const SNAPPY: u8 = 1 << 4

// Tells without looking at each of them whether times that were encoded as a run ascend.
function isRising(times: usize, count: i32): bool {
  const first = load<u64>(times)
  const step = load<u64>(times, 8) - first
  const last = load<u64>(times + (<usize>(count - 1) << 3))
  if (<i64>last <= <i64>first || step == 0) return false
  // if so no sum on the way has overflowed
  const span = last - first
  return span % step == 0 && span / step == <u64>(count - 1)
}

/** Tells whether the `count` times at `times`, which were encoded at `src`, ascend from the fifth to the sixth word of `state`. */
export function areTimes(src: usize, times: usize, count: i32, state: usize): bool {
  const last = times + (<usize>(count - 1) << 3)
  if (load<u64>(times) != load<u64>(state, 32) || load<u64>(last) != load<u64>(state, 40)) return false
  if (count > 1 && load<u8>(src) >> 4 == 2) return isRising(times, count)
  return isAscending(times, count) == 1
}

// Adds floats, see floats.ts.
function addFloats(src: usize, length: i32, times: usize, count: i32, state: usize): i32 {
  if (length < 9 || load<u8>(src) != GORILLA) return 0
  src++
  const seedA = load<u64>(state)
  const seedB = load<u64>(state, 8)
  let sumA = load<u64>(state, 16)
  let sumB = load<u64>(state, 24)
  const end = (<u64>length - 1) << 3
  const timesEnd = times + (<usize>count << 3)
  let value = loadWord(src)
  let position: u64 = 64
  let width: u64 = 64
  let trailing: u64 = 0
  for (; value != END; times += 8) {
    if (times == timesEnd) return 0
    const time = load<u64>(times)
    sumA += hashPoint(time, seedA, value)
    sumB += hashPoint(time, seedB, value)
    // 57 bits of it at least
    let bits = loadWord(src + <usize>(position >> 3)) << (position & 7)
    if (<i64>bits >= 0) {
      position += 1
      if (position > end) return 0
      continue
    }
    if ((bits & (<u64>1 << 62)) != 0) {
      const leading = (bits >> 57) & 31
      width = (bits >> 51) & 63
      if (width == 0) width = 64
      if (leading + width > 64) return 0
      trailing = 64 - leading - width
      position += 13
      bits = peek(src, position)
    } else {
      position += 2
      bits = width > 55 ? peek(src, position) : bits << 2
    }
    position += width
    if (position > end) return 0
    value ^= (bits >> (64 - width)) << trailing
  }
  if (times != timesEnd) return 0
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
  return count
}

// Adds integers, see integers.ts.
function addIntegers(src: usize, length: i32, times: usize, count: i32, state: usize): i32 {
  const values = times + (<usize>count << 3)
  if (decodeIntegers(src, length, values, count) != count) return 0
  addWords(times, values, count, state)
  return count
}

// Adds booleans: a byte 0x10, a varint count, one bit each, highest first.
function addBooleans(src: usize, length: i32, times: usize, count: i32, state: usize): i32 {
  if (length < 1 || load<u8>(src) != BIT_PACKED) return 0
  const end = src + length
  const bits = readVarint(src + 1, end)
  if (bits == 0 || varint != <u64>count || end - bits != (<usize>count + 7) >> 3) return 0
  const seedA = load<u64>(state)
  const seedB = load<u64>(state, 8)
  let sumA = load<u64>(state, 16)
  let sumB = load<u64>(state, 24)
  for (let i: usize = 0; i < <usize>count; i++) {
    const time = load<u64>(times + (i << 3))
    const value = (<u64>load<u8>(bits + (i >> 3)) >> (7 - (i & 7))) & 1
    sumA += hashPoint(time, seedA, value)
    sumB += hashPoint(time, seedB, value)
  }
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
  return count
}

// Hashes of short strings that were taken before, as fields of text often have few values. A slot is a string in two words,
// its length, and its hashes in both lanes.
const SLOTS: usize = 64
const SLOT: usize = 40
const MAX_SHORT: u64 = 16

function clearSlots(slots: usize): void {
  for (let i: usize = 0; i < SLOTS; i++) store<u64>(slots + i * SLOT, MAX_SHORT + 1, 16)
}

// Returns the slot with the hashes of the short string at `ptr`.
// @ts-ignore: decorator
@inline
function slotOf(slots: usize, ptr: usize, length: u64, seedA: u64, seedB: u64): usize {
  let first = load<u64>(ptr)
  let second: u64 = 0
  if (length > 8) second = load<u64>(ptr + <usize>length - 8)
  else first = length == 0 ? 0 : first & (~(<u64>0) >> (64 - (length << 3)))
  const index = ((first ^ rotl<u64>(second, 29)) * P1) >> 58
  const slot = slots + <usize>index * SLOT
  if (load<u64>(slot) != first || load<u64>(slot, 8) != second || load<u64>(slot, 16) != length) {
    hashBytes(ptr, <u32>length, seedA, seedB)
    store<u64>(slot, first)
    store<u64>(slot, second, 8)
    store<u64>(slot, length, 16)
    store<u64>(slot, hashA, 24)
    store<u64>(slot, hashB, 32)
  }
  return slot
}

// Adds strings: a byte 0x10, then snappy of varint length and bytes, over and over.
function addTexts(src: usize, length: i32, times: usize, count: i32, state: usize): i32 {
  if (length < 1 || load<u8>(src) != SNAPPY) return 0
  const timesEnd = times + (<usize>count << 3)
  const slots = timesEnd
  let ptr = slots + SLOTS * SLOT
  // words are stored, and loaded, beyond the end
  const room = (<u32>memory.size() << 16) - <u32>ptr - 8
  const size = unpackSnappy(src + 1, length - 1, ptr, room)
  if (size < 0) return 0
  const end = ptr + size
  const seedA = load<u64>(state)
  const seedB = load<u64>(state, 8)
  let sumA = load<u64>(state, 16)
  let sumB = load<u64>(state, 24)
  clearSlots(slots)
  for (; times < timesEnd; times += 8) {
    ptr = readVarint(ptr, end)
    if (ptr == 0 || varint > <u64>(end - ptr)) return 0
    const time = load<u64>(times)
    const bytes = varint
    if (bytes <= MAX_SHORT) {
      const slot = slotOf(slots, ptr, bytes, seedA, seedB)
      sumA += hashPoint(time, seedA, load<u64>(slot, 24))
      sumB += hashPoint(time, seedB, load<u64>(slot, 32))
    } else {
      hashBytes(ptr, <u32>bytes, seedA, seedB)
      sumA += hashPoint(time, seedA, hashA)
      sumB += hashPoint(time, seedB, hashB)
    }
    ptr += <usize>bytes
  }
  if (ptr != end) return 0
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
  return count
}

/**
 * Adds the points of an encoded block, `length` bytes at `src`. Returns how many there were, or 0 and adds nothing if
 * anything is out of the ordinary: a wrong encoding, strings that do not fit into the memory, times that do not ascend, or
 * whose first and last are not the two words after the state.
 */
export function addBlock(src: usize, length: i32, dst: usize, limit: i32, state: usize): i32 {
  const end = src + length
  const times = readVarint(src + 1, end)
  if (times == 0 || varint > <u64>(end - times)) return 0
  const timesLength = <i32>varint
  const count = decodeTimes(times, timesLength, dst, limit)
  if (count < 1 || !areTimes(times, dst, count, state)) return 0
  const values = times + timesLength
  const rest = <i32>(end - values)
  switch (load<u8>(src)) {
    case 0:
      return addFloats(values, rest, dst, count, state)
    case 1:
    case 4:
      return addIntegers(values, rest, dst, count, state)
    case 2:
      return addBooleans(values, rest, dst, count, state)
    case 3:
      return addTexts(values, rest, dst, count, state)
    default:
      return 0
  }
}
