// Fingerprints of points, see docs/formats/fingerprint.md: a hash of every point, added up, in two lanes of 64 bits.
//
// A state is four u64: the two seeds of the key, then the two sums.

export const P1: u64 = 0x9e3779b185ebca87
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

// @ts-ignore: decorator
@inline
function avalanche(hash: u64): u64 {
  hash = (hash ^ (hash >> 33)) * P2
  hash = (hash ^ (hash >> 29)) * P3
  return hash ^ (hash >> 32)
}

/** XXH64 of the bytes that {@link hashBytes} was given last, with the one seed and with the other. */
export let hashA: u64 = 0
export let hashB: u64 = 0

/** Takes XXH64 of `length` bytes at `ptr` with two seeds at once: they have much of the work in common. */
export function hashBytes(ptr: usize, length: u32, seedA: u64, seedB: u64): void {
  const end = ptr + length
  let a = seedA + P5
  let b = seedB + P5
  if (length >= 32) {
    a = hashStripes(ptr, end, seedA)
    b = hashStripes(ptr, end, seedB)
    ptr += length & ~31
  }
  a += length
  b += length
  for (; ptr + 8 <= end; ptr += 8) {
    const word = round(0, load<u64>(ptr))
    a = rotl<u64>(a ^ word, 27) * P1 + P4
    b = rotl<u64>(b ^ word, 27) * P1 + P4
  }
  if (ptr + 4 <= end) {
    const word = <u64>load<u32>(ptr) * P1
    a = rotl<u64>(a ^ word, 23) * P2 + P3
    b = rotl<u64>(b ^ word, 23) * P2 + P3
    ptr += 4
  }
  for (; ptr < end; ptr++) {
    const word = <u64>load<u8>(ptr) * P5
    a = rotl<u64>(a ^ word, 11) * P1
    b = rotl<u64>(b ^ word, 11) * P1
  }
  hashA = avalanche(a)
  hashB = avalanche(b)
}

// The finalizer of SplitMix64.
// @ts-ignore: decorator
@inline
function mix(value: u64): u64 {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb
  return value ^ (value >> 31)
}

/** The hash of a point in the lane of `seed`. */
// @ts-ignore: decorator
@inline
export function hashPoint(time: u64, seed: u64, value: u64): u64 {
  return mix(mix(time ^ seed) + value)
}

/** Puts the seeds of a key, `length` bytes at `src`, whose type has the code `type`, into `state`. */
export function seedKey(src: usize, length: u32, type: u32, state: usize): void {
  hashBytes(src, length, type << 1, (type << 1) | 1)
  store<u64>(state, hashA)
  store<u64>(state, hashB, 8)
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
    sumA += hashPoint(time, seedA, value)
    sumB += hashPoint(time, seedB, value)
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
    const time = load<u64>(times)
    hashBytes(bytes + from, load<u32>(offsets, 4) - from, seedA, seedB)
    sumA += hashPoint(time, seedA, hashA)
    sumB += hashPoint(time, seedB, hashB)
    offsets += 4
  }
  store<u64>(state, sumA, 16)
  store<u64>(state, sumB, 24)
}
