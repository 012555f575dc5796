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

/** The last result of {@link shiftOf}: blocks are of one length. */
let known = { length: 0, shift: ONE }

/** Returns x^(8 * length) modulo the polynomial, by squaring. */
function shiftOf(length: number): number {
  if (length === known.length) return known.shift
  let shift = ONE
  let power = ONE >>> 8
  for (let rest = length; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, power)
    power = multiply(power, power)
  }
  known = { length, shift }
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
