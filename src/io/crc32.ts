/** The polynomial of CRC-32 as zlib has it, bits reflected: bit 31 is x^0. */
const POLYNOMIAL = 0xedb88320
/** x^0. */
const ONE = 0x80000000

/**
 * Returns the CRC-32 of two runs of bytes together out of those of each, as if `crc32(second, crc32(first))` had read them:
 * the first is multiplied by x^8 for each byte of the second, modulo the polynomial, and the second is added.
 * @param length bytes of the second
 */
export function combineCrc32(first: number, second: number, length: number): number {
  return (multiply(first, shiftOf(length)) ^ second) >>> 0
}

/** All bits: what a register begins with, and what is added to it in the end. */
const ALL = 0xffffffff
/** x^32. */
const WORD_SHIFT = powerOf(4)

/** As {@link combineCrc32}, with the four bytes of `word`, big endian, in place of those whose CRC is known. */
export function combineWord(first: number, word: number): number {
  const swapped = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
  return (multiply((first ^ ALL ^ swapped) >>> 0, WORD_SHIFT) ^ ALL) >>> 0
}

/** Powers for short lengths, which come again and again: blocks of a file are of like lengths. 0 is none. */
const KEPT_POWERS = new Uint32Array(32 * 1024)

/** The last power for another length: blocks of archives are of one. */
let known = { length: 0, shift: ONE }

/** Returns x^(8 * length) modulo the polynomial. */
function shiftOf(length: number): number {
  if (length === known.length) return known.shift
  const kept = KEPT_POWERS[length] ?? 0
  if (kept !== 0) return kept
  const power = powerOf(length)
  if (length < KEPT_POWERS.length) KEPT_POWERS[length] = power
  else known = { length, shift: power }
  return power
}

/** The same, by squaring. */
function powerOf(length: number): number {
  let shift = ONE
  let power = ONE >>> 8
  for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, power)
    power = multiply(power, power)
  }
  return shift
}

/** Multiplies two polynomials modulo that of CRC-32. */
function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = ONE, term = b; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= term
    term = term & 1 ? (term >>> 1) ^ POLYNOMIAL : term >>> 1
  }
  return product >>> 0
}
