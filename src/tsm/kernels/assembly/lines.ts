// Line protocol: a prefix, a value, a time. Numbers as JavaScript writes them.

// The code of each type of value, as lines.ts of the kernels has it.
const FLOAT: u32 = 0
const INTEGER: u32 = 1
const UNSIGNED: u32 = 2
const BOOLEAN: u32 = 3

const QUOTE: u8 = 0x22
const BACKSLASH: u8 = 0x5c
const MINUS: u8 = 0x2d
const ZERO: u8 = 0x30

/** The most that a line takes besides its prefix and a string: a number, a suffix, a time, a space and an end. */
const MAX_REST: usize = 64

const BILLION: u64 = 1_000_000_000
/** Fifteen digits: no two decimals of so many are the same float. */
const EXACT: f64 = 1e15
const SMALLEST: f64 = 1e-6

// @ts-ignore: decorator
@inline
function powerOf(exponent: i32): f64 {
  let power: f64 = 1
  for (let i = 0; i < exponent; i++) power *= 10
  return power
}

// Writes exactly `digits` digits.
// @ts-ignore: decorator
@inline
function putDigits(ptr: usize, value: u32, digits: u32): usize {
  for (let at = ptr + digits - 1; at >= ptr; at--) {
    const next = value / 10
    store<u8>(at, <u8>(ZERO + value - 10 * next))
    value = next
  }
  return ptr + digits
}

// Writes two digits.
// @ts-ignore: decorator
@inline
function putPair(ptr: usize, value: u32): void {
  const tens = value / 10
  store<u16>(ptr, <u16>(0x3030 + tens + ((value - 10 * tens) << 8)))
}

// Writes eight digits.
function putEight(ptr: usize, value: u32): usize {
  const high = value / 10_000
  const low = value - high * 10_000
  const a = high / 100
  const c = low / 100
  putPair(ptr, a)
  putPair(ptr + 2, high - 100 * a)
  putPair(ptr + 4, c)
  putPair(ptr + 6, low - 100 * c)
  return ptr + 8
}

function digitsOf(value: u32): u32 {
  let digits: u32 = 1
  for (let limit: u64 = 10; <u64>value >= limit; limit *= 10) digits++
  return digits
}

// @ts-ignore: decorator
@inline
function putNine(ptr: usize, value: u32): usize {
  const first = value / 100_000_000
  store<u8>(ptr, <u8>(ZERO + first))
  return putEight(ptr + 1, value - first * 100_000_000)
}

function putUint(ptr: usize, value: u64): usize {
  if (value < BILLION) return putDigits(ptr, <u32>value, digitsOf(<u32>value))
  const rest = value / BILLION
  const last = <u32>(value - rest * BILLION)
  if (rest < BILLION) {
    ptr = putDigits(ptr, <u32>rest, digitsOf(<u32>rest))
  } else {
    const top = rest / BILLION
    ptr = putDigits(ptr, <u32>top, digitsOf(<u32>top))
    ptr = putNine(ptr, <u32>(rest - top * BILLION))
  }
  return putNine(ptr, last)
}

// @ts-ignore: decorator
@inline
function putInt(ptr: usize, value: i64): usize {
  if (value >= 0) return putUint(ptr, <u64>value)
  store<u8>(ptr, MINUS)
  return putUint(ptr + 1, 0 - <u64>value)
}

// Writes `scaled` divided by ten `places` times.
function putDecimal(ptr: usize, scaled: u64, places: u32): usize {
  let power: u64 = 1
  for (let i: u32 = 0; i < places; i++) power *= 10
  const whole = scaled / power
  let fraction = scaled - whole * power
  ptr = putUint(ptr, whole)
  store<u8>(ptr++, 0x2e)
  if (places > 9) {
    const low = fraction / BILLION
    putDigits(ptr, <u32>low, places - 9)
    putNine(ptr + places - 9, <u32>(fraction - low * BILLION))
    return ptr + places
  }
  return putDigits(ptr, <u32>fraction, places)
}

/**
 * Writes a float; returns 0 if that takes more than this knows: NaN, an infinity, an exponent, 16 digits or more. A decimal of
 * up to 15 digits that reads back as the float is the only one, and so the shortest.
 */
function putFloat(ptr: usize, value: f64): usize {
  const size = abs(value)
  // NaN is not less either.
  if (!(size < EXACT)) return 0
  if (reinterpret<i64>(value) < 0) store<u8>(ptr++, MINUS)
  if (size == floor(size)) return putUint(ptr, <u64>size)
  if (size < SMALLEST) return 0
  let power: f64 = 1
  for (let places: u32 = 1; places <= 4; places++) {
    power *= 10
    const scaled = nearest(size * power)
    if (scaled >= EXACT) return 0
    if (scaled / power == size) return putDecimal(ptr, <u64>scaled, places)
  }
  const exponent = <i32>((reinterpret<u64>(size) >> 52) & 0x7ff) - 1023
  let places: u32 = <u32>(14 - <i32>floor(<f64>(exponent + 1) * 0.30103))
  if (places > 19) places = 19
  power = powerOf(places)
  // The exponent allows for one digit more than there may be.
  if (places < 19 && size * power * 10 < EXACT) {
    power *= 10
    places++
  }
  const scaled = nearest(size * power)
  if (scaled >= EXACT || scaled / power != size) return 0
  let rest = <u64>scaled
  while (rest % 10 == 0) {
    rest /= 10
    places--
  }
  return putDecimal(ptr, rest, places)
}

// @ts-ignore: decorator
@inline
function putString(ptr: usize, src: usize, end: usize): usize {
  store<u8>(ptr++, QUOTE)
  for (; src < end; src++) {
    const byte = load<u8>(src)
    if (byte == QUOTE || byte == BACKSLASH) store<u8>(ptr++, BACKSLASH)
    store<u8>(ptr++, byte)
  }
  store<u8>(ptr++, QUOTE)
  return ptr
}

// Copies eight bytes at a time, a few too many.
// @ts-ignore: decorator
@inline
function copy(dst: usize, src: usize, length: usize): usize {
  for (let at: usize = 0; at < length; at += 8) store<u64>(dst + at, load<u64>(src + at))
  return dst + length
}

/** Where the text ends that {@link writeLines} wrote. */
export let linesEnd: usize = 0

/**
 * Writes a line for each value from the `from`th on, before `end`: the prefix, the value, a space, the time and a line feed.
 * Of strings `values` are their offsets from `texts`. Returns the value that it stopped at: there is no room for its line, or it
 * is a float that is not written here.
 */
export function writeLines(
  type: u32,
  from: u32,
  count: u32,
  prefix: usize,
  length: usize,
  times: usize,
  values: usize,
  texts: usize,
  dst: usize,
  end: usize,
): u32 {
  let ptr = dst
  let i = from
  for (; i < count; i++) {
    const line = ptr
    if (ptr + length + MAX_REST > end) break
    ptr = copy(ptr, prefix, length)
    if (type == FLOAT) {
      ptr = putFloat(ptr, load<f64>(values + (<usize>i << 3)))
      if (ptr == 0) {
        ptr = line
        break
      }
    } else if (type == INTEGER) {
      ptr = putInt(ptr, load<i64>(values + (<usize>i << 3)))
      store<u8>(ptr++, 0x69)
    } else if (type == UNSIGNED) {
      ptr = putUint(ptr, load<u64>(values + (<usize>i << 3)))
      store<u8>(ptr++, 0x75)
    } else if (type == BOOLEAN) {
      if (load<u8>(values + i) == 0) {
        store<u64>(ptr, 0x65736c6166)
        ptr += 5
      } else {
        store<u32>(ptr, 0x65757274)
        ptr += 4
      }
    } else {
      const start = load<u32>(values + (<usize>i << 2))
      const stop = load<u32>(values + (<usize>i << 2), 4)
      if (ptr + 2 * (stop - start) + MAX_REST > end) {
        ptr = line
        break
      }
      ptr = putString(ptr, texts + start, texts + stop)
    }
    store<u8>(ptr++, 0x20)
    ptr = putInt(ptr, load<i64>(times + (<usize>i << 3)))
    store<u8>(ptr++, 0x0a)
  }
  linesEnd = ptr
  return i
}
