// Snappy: the length of what was compressed as a varint, then elements. The low two bits of an element's first byte say
// what it is, the others a length:
//
//   0  literal: length - 1, or 60 to 63 if that is in the 1 to 4 bytes that follow; then the bytes themselves
//   1  copy: length - 4 in 3 bits, the high 3 bits of the offset; the low 8 bits follow
//   2  copy: length - 1; an offset of 2 bytes follows
//   3  copy: length - 1; an offset of 4 bytes follows
import { readVarint, varint } from './bytes'
import { ERR_LIMIT, ERR_SHORT, ERR_SNAPPY, ERR_VARINT } from './errors'

// Copies `length` bytes in words, and so up to 7 more; `to` is not less than 8 after `from`.
// @ts-ignore: decorator
@inline
function copyWords(from: usize, to: usize, length: u32): void {
  for (const end = to + length; to < end; to += 8) {
    store<u64>(to, load<u64>(from))
    from += 8
  }
}

// The value of the `size` (1 to 4) bytes at `ptr`, lowest first; some after them are read too.
// @ts-ignore: decorator
@inline
function loadBytes(ptr: usize, size: u32): u32 {
  return load<u32>(ptr) & (0xffffffff >> (32 - (size << 3)))
}

/**
 * Decompresses `length` bytes at `src`; returns how many there are at `dst` then, at most `room`. It may write 7 bytes after
 * them.
 */
export function unpackSnappy(src: usize, length: i32, dst: usize, room: u32): i32 {
  const end = src + length
  src = readVarint(src, end)
  if (src == 0) return ERR_VARINT
  if (varint > <u64>room) return ERR_LIMIT
  const size = <u32>varint
  const stop = dst + size
  let to = dst
  while (src < end) {
    const tag = <u32>load<u8>(src++)
    const kind = tag & 3
    let count = tag >> 2
    if (kind == 0) {
      if (count >= 60) {
        const bytes = count - 59
        count = loadBytes(src, bytes)
        src += bytes
      }
      // as it is one less than the length, which may be 2^32
      if (src >= end || count >= <u32>(end - src)) return ERR_SHORT
      count++
      if (count > <u32>(stop - to)) return ERR_SNAPPY
      copyWords(src, to, count)
      src += count
    } else {
      let offset: u32 = 0
      if (kind == 1) {
        offset = ((count & 0x38) << 5) | load<u8>(src)
        count = (count & 7) + 4
        src++
      } else {
        const bytes: u32 = kind == 2 ? 2 : 4
        offset = loadBytes(src, bytes)
        count++
        src += bytes
      }
      if (src > end) return ERR_SHORT
      if (offset == 0 || offset > <u32>(to - dst) || count > <u32>(stop - to)) return ERR_SNAPPY
      const from = to - offset
      if (offset >= 8) copyWords(from, to, count)
      else for (let i: u32 = 0; i < count; i++) store<u8>(to + i, load<u8>(from + i))
    }
    to += count
  }
  return to == stop ? size : ERR_SHORT
}
