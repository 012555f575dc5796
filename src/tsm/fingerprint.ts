import { fieldTypeCode } from './format.ts'
import { addPoints, addStrings, seedKey } from './kernels/kernels.ts'
import { type Block, type FieldType, sliceBlock } from './values.ts'

/**
 * Two sums modulo 2^64 over the hashes of points. Equal points give equal sums in whatever order and pieces they are
 * added, and sums over different points can be added.
 */
export type Fingerprint = readonly [bigint, bigint]

/** The fingerprint of no points. */
export const NO_POINTS: Fingerprint = [0n, 0n]

// points copied into the kernel's memory at once; its memory is made larger only for longer strings
const MAX_POINTS = 16_384

/** Adds up points, see docs/formats/fingerprint.md. */
export class PointSum {
  readonly #state = new BigUint64Array(4)
  /** Points added so far. */
  points = 0

  /** Says to which key the points belong that are added next. */
  begin(key: Uint8Array, type: FieldType): void {
    seedKey(this.#state, key, fieldTypeCode(type))
  }

  /** Adds points of the key that was begun last, in whatever order. */
  add(block: Block): void {
    const count = block.times.length
    for (let from = 0; from < count; from += MAX_POINTS) {
      this.#add(count > MAX_POINTS ? sliceBlock(block, from, from + MAX_POINTS) : block)
    }
    this.points += count
  }

  #add(block: Block): void {
    if (block.type === 'string') addStrings(this.#state, block.times, block.values)
    else addPoints(this.#state, block.times, block.values)
  }

  /** The sums over all points added so far. */
  get fingerprint(): Fingerprint {
    const [, , a = 0n, b = 0n] = this.#state
    return [a, b]
  }
}

/** Returns the fingerprint of points of which `a` and `b` each have a part. */
export function addFingerprints(a: Fingerprint, b: Fingerprint): Fingerprint {
  return [BigInt.asUintN(64, a[0] + b[0]), BigInt.asUintN(64, a[1] + b[1])]
}

/** Returns the fingerprint of the points of `a` without those of `b`. */
export function subtractFingerprints(a: Fingerprint, b: Fingerprint): Fingerprint {
  return [BigInt.asUintN(64, a[0] - b[0]), BigInt.asUintN(64, a[1] - b[1])]
}

/** Returns a fingerprint in 32 lower-case hexadecimal digits. */
export function formatFingerprint(fingerprint: Fingerprint): string {
  return fingerprint.map((sum) => sum.toString(16).padStart(16, '0')).join('')
}
