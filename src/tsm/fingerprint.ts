import { fieldTypeCode } from './format.ts'
import { addEncoded, addPoints, addStrings, seedKey } from './kernels/fingerprint.ts'
import { type Block, type FieldType, sliceBlock, type TimeRange } from './values.ts'

/**
 * Two sums modulo 2^64 over the hashes of points. Equal points give equal sums in whatever order and pieces they are
 * added, and sums over different points can be added.
 */
export type Fingerprint = readonly [bigint, bigint]

// points copied into the kernel's memory at once; its memory is made larger only for longer strings
const MAX_POINTS = 16_384
// where the two sums are in a state
const LANES = [2, 3] as const

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

  /**
   * Adds the points of an encoded block without giving them out, if it is as nearly all are: it decodes, is not huge, and its
   * times ascend from the first to the last as given. Else adds nothing and returns false.
   */
  addEncoded(bytes: Uint8Array, times: TimeRange): boolean {
    const count = addEncoded(this.#state, bytes, times)
    this.points += count
    return count > 0
  }

  /** Takes away points of the key that was begun last, which were added before or will be. */
  remove(block: Block): void {
    this.#negate()
    this.add(block)
    this.#negate()
    this.points -= 2 * block.times.length
  }

  /** Adds all that was added to another one. */
  join({ points, fingerprint }: Pick<PointSum, 'points' | 'fingerprint'>): void {
    for (const [i, lane] of LANES.entries())
      this.#state[lane] = (this.#state[lane] ?? 0n) + (fingerprint[i] ?? 0n)
    this.points += points
  }

  // arrays of 64 bits take what is left of a number modulo 2^64
  #negate(): void {
    for (const lane of LANES) this.#state[lane] = -(this.#state[lane] ?? 0n)
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

/** Returns a fingerprint in 32 lower-case hexadecimal digits. */
export function formatFingerprint(fingerprint: Fingerprint): string {
  return fingerprint.map((sum) => sum.toString(16).padStart(16, '0')).join('')
}
