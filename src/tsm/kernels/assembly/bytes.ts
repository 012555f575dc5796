// Big-endian words and unsigned varints.

// @ts-ignore: decorator
@inline
export function loadWord(ptr: usize): u64 {
  return bswap<u64>(load<u64>(ptr))
}

// @ts-ignore: decorator
@inline
export function storeWord(ptr: usize, value: u64): void {
  store<u64>(ptr, bswap<u64>(value))
}

/** The value of the varint read last. */
export let varint: u64 = 0

/** Reads a varint at `ptr` into `varint`; returns the address after it, or 0 if it is cut or longer than 64 bits. */
export function readVarint(ptr: usize, end: usize): usize {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 70 && ptr < end; shift += 7) {
    const byte: u64 = load<u8>(ptr++)
    if (shift == 63 && byte > 1) return 0
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      varint = value
      return ptr
    }
  }
  return 0
}

/** Writes a varint at `ptr`; returns the address after it. */
export function writeVarint(ptr: usize, value: u64): usize {
  while (value >= 0x80) {
    store<u8>(ptr++, <u8>(value | 0x80))
    value >>= 7
  }
  store<u8>(ptr++, <u8>value)
  return ptr
}
