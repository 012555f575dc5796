// The 64-bit encodings of TSM blocks in plain BigInt, written to be read beside docs/formats/encodings.md.

const MASK = 2n ** 64n - 1n
const MAX_PACKED = 2n ** 60n - 1n

const COUNTS = [240, 120, 60, 30, 20, 15, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1]
const BITS = [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60]

const unsigned = (value: bigint) => BigInt.asUintN(64, value)
const signed = (value: bigint) => BigInt.asIntN(64, value)
const zigzag = (value: bigint) => unsigned((value << 1n) ^ (value >> 63n))
const unzigzag = (value: bigint) => signed((value >> 1n) ^ -(value & 1n))

export function word(value: bigint): number[] {
  const bytes: number[] = []
  for (let shift = 56n; shift >= 0n; shift -= 8n) bytes.push(Number((value >> shift) & 0xffn))
  return bytes
}

export function varint(value: bigint): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80)
  return [...bytes, Number(left)]
}

function readWord(bytes: Uint8Array, at: number): bigint {
  return bytes.subarray(at, at + 8).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

function readVarint(bytes: Uint8Array, at: number): [bigint, number] {
  let value = 0n
  for (let i = at; ; i++) {
    const byte = bytes[i] ?? 0
    value |= BigInt(byte & 0x7f) << BigInt(7 * (i - at))
    if (byte < 0x80) return [value, i + 1]
  }
}

/** Packs values; `window` is how far ahead a run of ones is looked for. */
function pack(values: readonly bigint[], window: number): number[] {
  const bytes: number[] = []
  for (let at = 0; at < values.length; ) {
    const seen = values.slice(at, at + window)
    const ones = seen.every((value) => value === 1n)
    const selector = COUNTS.findIndex((count, i) => {
      if (seen.length < count) return false
      if (i < 2) return ones
      return seen.slice(0, count).every((value) => value < 2n ** BigInt(BITS[i] ?? 0))
    })
    let packed = BigInt(selector) << 60n
    const count = COUNTS[selector] ?? 0
    if (selector > 1) {
      seen.slice(0, count).forEach((value, i) => {
        packed |= value << BigInt(i * (BITS[selector] ?? 0))
      })
    }
    bytes.push(...word(packed))
    at += count
  }
  return bytes
}

function unpack(bytes: Uint8Array): bigint[] {
  const values: bigint[] = []
  for (let at = 0; at < bytes.length; at += 8) {
    const packed = readWord(bytes, at)
    const selector = Number(packed >> 60n)
    const bits = BigInt(BITS[selector] ?? 0)
    for (let i = 0n; i < (COUNTS[selector] ?? 0); i++) {
      values.push(selector < 2 ? 1n : (packed >> (i * bits)) & (2n ** bits - 1n))
    }
  }
  return values
}

function sums(deltas: readonly bigint[]): bigint[] {
  let sum = 0n
  return deltas.map((delta) => {
    sum += delta
    return signed(sum)
  })
}

function deltas(values: readonly bigint[]): bigint[] {
  return values.map((value, i) => (i === 0 ? value : value - (values[i - 1] ?? 0n)))
}

export function encodeTimes(times: readonly bigint[]): number[] {
  const [first = 0n, ...steps] = deltas(times).map(unsigned)
  let exponent = 12
  while (exponent > 0 && steps.some((step) => step % 10n ** BigInt(exponent) !== 0n)) exponent--
  const scale = 10n ** BigInt(exponent)
  const [step = 0n] = steps
  if (steps.length > 0 && steps.every((other) => other === step)) {
    return [
      0x20 | exponent,
      ...word(first),
      ...varint(step / scale),
      ...varint(BigInt(times.length)),
    ]
  }
  if (steps.some((other) => other > MAX_PACKED)) return [0, ...[first, ...steps].flatMap(word)]
  const scaled = steps.map((other) => other / scale)
  return [0x10 | exponent, ...word(first), ...pack(scaled, 240)]
}

export function decodeTimes(bytes: Uint8Array): bigint[] {
  const scale = 10n ** BigInt((bytes[0] ?? 0) & 15)
  const first = readWord(bytes, 1)
  switch ((bytes[0] ?? 0) >> 4) {
    case 0:
      return sums(
        Array.from({ length: (bytes.length - 1) / 8 }, (_, i) => readWord(bytes, 1 + i * 8)),
      )
    case 1:
      return sums([first, ...unpack(bytes.subarray(9)).map((step) => step * scale)])
    default: {
      const [step, next] = readVarint(bytes, 9)
      const count = Number(readVarint(bytes, next)[0])
      return Array.from({ length: count }, (_, i) => signed(first + BigInt(i) * step * scale))
    }
  }
}

export function encodeIntegers(values: readonly bigint[]): number[] {
  const zigzags = deltas(values).map((delta) => zigzag(signed(delta)))
  const [first = 0n, ...steps] = zigzags
  const [step = 0n] = steps
  if (steps.length > 1 && steps.every((other) => other === step)) {
    return [0x20, ...word(first), ...varint(step), ...varint(BigInt(steps.length))]
  }
  if (zigzags.some((other) => other > MAX_PACKED)) return [0, ...zigzags.flatMap(word)]
  return [0x10, ...word(first), ...pack(steps, values.length)]
}

export function decodeIntegers(bytes: Uint8Array): bigint[] {
  const first = readWord(bytes, 1)
  switch ((bytes[0] ?? 0) >> 4) {
    case 0: {
      const length = (bytes.length - 1) / 8
      return sums(Array.from({ length }, (_, i) => unzigzag(readWord(bytes, 1 + i * 8))))
    }
    case 1:
      return sums([first, ...unpack(bytes.subarray(9))].map(unzigzag))
    default: {
      const [step, next] = readVarint(bytes, 9)
      const count = Number(readVarint(bytes, next)[0]) + 1
      const delta = unzigzag(step)
      return Array.from({ length: count }, (_, i) => signed(unzigzag(first) + BigInt(i) * delta))
    }
  }
}

const END = 0x7ff8000000000001n

/** Encodes floats given by their bits. */
export function encodeFloats(values: readonly bigint[]): number[] {
  let bits = (values[0] ?? END).toString(2).padStart(64, '0')
  let leading = 64
  let trailing = 0
  const all = [...values, END]
  for (let i = 1; i < all.length; i++) {
    const delta = (all[i] ?? 0n) ^ (all[i - 1] ?? 0n)
    if (delta === 0n) {
      bits += '0'
      continue
    }
    const text = delta.toString(2).padStart(64, '0')
    const zeros = text.indexOf('1') & 31
    const after = 63 - text.lastIndexOf('1')
    if (zeros >= leading && after >= trailing) bits += '10'
    else {
      leading = zeros
      trailing = after
      const width = (64 - leading - trailing) & 63
      bits += `11${leading.toString(2).padStart(5, '0')}${width.toString(2).padStart(6, '0')}`
    }
    bits += text.slice(leading, 64 - trailing)
  }
  const bytes = bits.match(/.{1,8}/g) ?? []
  return [0x10, ...bytes.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2))]
}

/** Decodes floats to their bits. */
export function decodeFloats(bytes: Uint8Array): bigint[] {
  const bits = Array.from(bytes.subarray(1), (byte) => byte.toString(2).padStart(8, '0')).join('')
  let at = 0
  const take = (count: number) => {
    at += count
    return BigInt(`0b${bits.slice(at - count, at)}`)
  }
  const values: bigint[] = []
  let width = 64
  let trailing = 0
  for (let value = take(64); value !== END; ) {
    values.push(value)
    if (take(1) === 0n) continue
    if (take(1) === 1n) {
      const leading = Number(take(5))
      width = Number(take(6)) || 64
      trailing = 64 - leading - width
    }
    value = (value ^ (take(width) << BigInt(trailing))) & MASK
  }
  return values
}
