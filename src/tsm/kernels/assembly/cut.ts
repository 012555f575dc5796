// Encoded blocks cut to a range of times: decoded, and what is in the range encoded again as the encoder of its type does.
import { areTimes } from './blocks'
import { readVarint, varint, writeVarint } from './bytes'
import { decodeFloats, encodeFloats } from './floats'
import { decodeIntegers, encodeIntegers } from './integers'
import { unpackSnappy } from './snappy'
import { decodeTimes, encodeTimes } from './times'

/** The result for a block that is out of the ordinary, and for one without a point in the range. */
const UNUSUAL: i32 = -1
const NOTHING: i32 = 0

const ENCODED: u8 = 1 << 4
/** What an encoded point takes at most, and all that is before, between and after them. */
const POINT: usize = 18
const MARGIN: usize = 96

/** Where the block begins that was cut last. */
export let cutAt: usize = 0
/** Where its strings begin and end, each a varint length and bytes: they come after it, when they are compressed. */
export let textsAt: usize = 0
export let textsEnd: usize = 0

// Returns the first of the `count` times at `times`, which ascend, that is at least `time`; `count` if none is.
function search(times: usize, count: i32, time: i64): i32 {
  let low: i32 = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (load<i64>(times + (<usize>middle << 3)) < time) low = middle + 1
    else high = middle
  }
  return low
}

// The functions below cut the values in `length` bytes at `src`, which are to be `count`, to those from `from` to `to`. They
// return the end of what they write to `dst`, or 0; the memory from `spare` on is scratch.

function cutWords(
  type: u8,
  src: usize,
  length: i32,
  count: i32,
  from: i32,
  to: i32,
  dst: usize,
  spare: usize,
): usize {
  const isFloat = type == 0
  const decoded = isFloat
    ? decodeFloats(src, length, spare, count)
    : decodeIntegers(src, length, spare, count)
  if (decoded != count) return 0
  if (from == to) return dst
  const first = spare + (<usize>from << 3)
  const written = isFloat ? encodeFloats(first, to - from, dst) : encodeIntegers(first, to - from, dst)
  return written < 0 ? 0 : dst + written
}

function cutBooleans(src: usize, length: i32, count: i32, from: i32, to: i32, dst: usize): usize {
  if (length < 1 || load<u8>(src) != ENCODED) return 0
  const end = src + length
  const bits = readVarint(src + 1, end)
  if (bits == 0 || varint != <u64>count || end - bits != (<usize>count + 7) >> 3) return 0
  store<u8>(dst, ENCODED)
  dst = writeVarint(dst + 1, to - from)
  for (let at = <u32>from; at < <u32>to; at += 8) {
    let byte: u32 = 0
    for (let i = at; i < at + 8; i++) {
      const bit = i < <u32>to ? (load<u8>(bits + (i >> 3)) >> <u8>(7 - (i & 7))) & 1 : 0
      byte = (byte << 1) | bit
    }
    store<u8>(dst++, <u8>byte)
  }
  return dst
}

// Leaves the strings in `spare`, between `textsAt` and `textsEnd`.
function cutTexts(
  src: usize,
  length: i32,
  count: i32,
  from: i32,
  to: i32,
  dst: usize,
  spare: usize,
): usize {
  if (length < 1 || load<u8>(src) != ENCODED) return 0
  // words are stored beyond the end
  const room = (<u32>memory.size() << 16) - <u32>spare - 8
  const size = unpackSnappy(src + 1, length - 1, spare, room)
  if (size < 0) return 0
  const end = spare + size
  let ptr = spare
  for (let i: i32 = 0; i < count; i++) {
    if (i == from) textsAt = ptr
    ptr = readVarint(ptr, end)
    if (ptr == 0 || varint > <u64>(end - ptr)) return 0
    ptr += <usize>varint
    if (i + 1 == to) textsEnd = ptr
  }
  if (ptr != end) return 0
  store<u8>(dst, ENCODED)
  return dst + 1
}

// Encodes the `count` times at `times` with what is before them in a block, at `dst` or a little after. Returns their end;
// `cutAt` is where it begins.
function putTimes(type: u8, times: usize, count: i32, dst: usize): usize {
  const at = dst + 16
  const length = encodeTimes(times, count, at)
  const size = writeVarint(dst, length) - dst
  cutAt = at - size - 1
  store<u8>(cutAt, type)
  writeVarint(cutAt + 1, length)
  return at + length
}

/**
 * Cuts the block of `length` bytes at `src` to the times from the first to the last word at `state`. Returns the length of what
 * is at `cutAt` then: a block that is whole but for strings that are to be compressed. The first two words are its first and last
 * time then. Returns 0 if it has no point in the range, and -1 if anything is out of the ordinary: a wrong encoding, a value
 * that cannot be encoded, strings that do not fit into the memory, times that do not ascend, or whose first and last are not the
 * fifth and sixth word.
 */
export function cutBlock(src: usize, length: i32, dst: usize, limit: i32, state: usize): i32 {
  const end = src + length
  const encoded = readVarint(src + 1, end)
  if (encoded == 0 || varint > <u64>(end - encoded)) return UNUSUAL
  const values = encoded + <usize>varint
  const count = decodeTimes(encoded, <i32>varint, dst, limit)
  if (count < 1 || !areTimes(encoded, dst, count, state)) return UNUSUAL
  const from = search(dst, count, load<i64>(state))
  const lastWanted = load<i64>(state, 8)
  const to = lastWanted == i64.MAX_VALUE ? count : search(dst, count, lastWanted + 1)
  const first = dst + (<usize>from << 3)
  const kept = max(0, to - from)
  if (kept > 0) {
    store<u64>(state, load<u64>(first))
    store<u64>(state, load<u64>(dst + (<usize>(to - 1) << 3)), 8)
  }
  const out = dst + (<usize>count << 3)
  const type = load<u8>(src)
  textsAt = textsEnd = 0
  const at = kept > 0 ? putTimes(type, first, kept, out) : out
  const spare = (out + MARGIN + <usize>count * POINT) & ~7
  const rest = <i32>(end - values)
  let stop: usize = 0
  // what nothing is wanted of is decoded too: it is to be known that it could be
  switch (type) {
    case 0:
    case 1:
    case 4:
      stop = cutWords(type, values, rest, count, from, to, at, spare)
      break
    case 2:
      stop = cutBooleans(values, rest, count, from, to, at)
      break
    case 3:
      stop = cutTexts(values, rest, count, from, to, at, spare)
      break
  }
  if (stop == 0) return UNUSUAL
  return kept > 0 ? <i32>(stop - cutAt) : NOTHING
}
