import { type Block, stringAt } from '../../../src/tsm/values.ts'

// The fingerprint of docs/formats/fingerprint.md in plain BigInt, point by point.

const P1 = 0x9e3779b185ebca87n
const P2 = 0xc2b2ae3d27d4eb4fn
const P3 = 0x165667b19e3779f9n
const P4 = 0x85ebca77c2b2ae63n
const P5 = 0x27d4eb2f165667c5n

const u64 = (value: bigint) => BigInt.asUintN(64, value)
const rotate = (value: bigint, bits: bigint) => u64(value << bits) | (value >> (64n - bits))
const round = (hash: bigint, word: bigint) => u64(rotate(u64(hash + word * P2), 31n) * P1)
const fold = (hash: bigint, lane: bigint) => u64((hash ^ round(0n, lane)) * P1 + P4)

/** XXH64, as its specification says it. */
export function xxh64(bytes: Uint8Array, seed: bigint): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  let hash = u64(seed + P5)
  if (bytes.length >= 32) {
    let [a, b, c, d] = [u64(seed + P1 + P2), u64(seed + P2), seed, u64(seed - P1)]
    for (; at + 32 <= bytes.length; at += 32) {
      a = round(a, view.getBigUint64(at, true))
      b = round(b, view.getBigUint64(at + 8, true))
      c = round(c, view.getBigUint64(at + 16, true))
      d = round(d, view.getBigUint64(at + 24, true))
    }
    hash = u64(rotate(a, 1n) + rotate(b, 7n) + rotate(c, 12n) + rotate(d, 18n))
    hash = [a, b, c, d].reduce(fold, hash)
  }
  hash = u64(hash + BigInt(bytes.length))
  for (; at + 8 <= bytes.length; at += 8) {
    hash = u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1 + P4)
  }
  if (at + 4 <= bytes.length) {
    hash = u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2 + P3)
    at += 4
  }
  for (; at < bytes.length; at++) {
    hash = u64(rotate(hash ^ u64(BigInt(bytes[at] ?? 0) * P5), 11n) * P1)
  }
  hash = u64((hash ^ (hash >> 33n)) * P2)
  hash = u64((hash ^ (hash >> 29n)) * P3)
  return hash ^ (hash >> 32n)
}

function mix(value: bigint): bigint {
  let mixed = u64((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n)
  mixed = u64((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn)
  return mixed ^ (mixed >> 31n)
}

/** A point with its value as the reference takes it: 64 bits, or the bytes of a string. */
export interface Point {
  readonly key: Uint8Array
  /** The code of its type in TSM files. */
  readonly type: number
  readonly time: bigint
  readonly value: bigint | Uint8Array
}

/** Value `i` of a block as {@link Point} has it. */
export function wordOf(block: Block, i: number): bigint | Uint8Array {
  if (block.type === 'string') return stringAt(block.values, i)
  if (block.type !== 'float') return BigInt(block.values[i] ?? 0)
  return new DataView(block.values.buffer, block.values.byteOffset).getBigUint64(i * 8, true)
}

/** The fingerprint of `points`, in hexadecimal digits. */
export function fingerprintOf(points: readonly Point[]): string {
  const sums = [0n, 1n].map((lane) =>
    points.reduce((sum, { key, type, time, value }) => {
      const seed = xxh64(key, BigInt(type) * 2n + lane)
      const word = typeof value === 'bigint' ? u64(value) : xxh64(value, seed)
      return u64(sum + mix(u64(mix(u64(time) ^ seed) + word)))
    }, 0n),
  )
  return sums.map((sum) => sum.toString(16).padStart(16, '0')).join('')
}
