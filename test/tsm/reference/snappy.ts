// Snappy as its description of the format says it, byte by byte.

/** Returns what a snappy block holds, or undefined if it is none. */
export function unpack(bytes: Uint8Array): Uint8Array | undefined {
  let at = 0
  const take = (count: number) => {
    let value = 0n
    for (let i = 0; i < count; i++) value |= BigInt(bytes[at++] ?? 0) << BigInt(8 * i)
    return Number(value)
  }
  let size = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++]
    if (byte === undefined || shift > 63n) return undefined
    size |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const out: number[] = []
  while (at < bytes.length) {
    const tag = bytes[at++] ?? 0
    const [kind, high] = [tag & 3, tag >> 2]
    if (kind === 0) {
      const length = (high < 60 ? high : take(high - 59)) + 1
      if (at + length > bytes.length || out.length + length > size) return undefined
      for (let i = 0; i < length; i++) out.push(bytes[at++] ?? 0)
      continue
    }
    const length = kind === 1 ? (high & 7) + 4 : high + 1
    const offset = kind === 1 ? ((tag >> 5) << 8) | take(1) : take(kind === 2 ? 2 : 4)
    if (at > bytes.length || offset === 0 || offset > out.length) return undefined
    if (out.length + length > size) return undefined
    for (let i = 0; i < length; i++) out.push(out[out.length - offset] ?? 0)
  }
  return BigInt(out.length) === size ? Uint8Array.from(out) : undefined
}
