/** Which sides have points of a series: one of them, or both. */
export const LEFT = 1
export const RIGHT = 2
export const BOTH = LEFT | RIGHT

const FIRST_CAPACITY = 1024
/** A table is made twice as large before more than so much of it is taken. */
const MOST_TAKEN = 0.75

/**
 * The sides of each series, by a hash of its key: 12 to 24 bytes for each, where a Map of a million of them takes 90. It is a
 * table with open addressing; where no side is set, nothing is.
 */
export class SeriesSides {
  #hashes = new Float64Array(FIRST_CAPACITY)
  #sides = new Uint8Array(FIRST_CAPACITY)
  /** How many series there are. */
  size = 0

  /** Returns the sides of a series; 0 if it is not there. @param hash a whole number of at most 53 bits */
  get(hash: number): number {
    return this.#sides[this.#slotOf(hash)] ?? 0
  }

  /** Adds `sides`, one at least, to those of a series, and returns those it has now. */
  add(hash: number, sides: number): number {
    if (this.size >= this.#sides.length * MOST_TAKEN) this.#grow()
    const slot = this.#slotOf(hash)
    const before = this.#sides[slot] ?? 0
    if (before === 0) this.size++
    this.#hashes[slot] = hash
    this.#sides[slot] = before | sides
    return before | sides
  }

  #slotOf(hash: number): number {
    const last = this.#sides.length - 1
    let slot = hash & last
    while (this.#sides[slot] !== 0 && this.#hashes[slot] !== hash) slot = (slot + 1) & last
    return slot
  }

  #grow(): void {
    const [hashes, sides] = [this.#hashes, this.#sides]
    this.#hashes = new Float64Array(2 * hashes.length)
    this.#sides = new Uint8Array(2 * sides.length)
    for (const [i, hash] of hashes.entries()) {
      if (sides[i] === 0) continue
      const slot = this.#slotOf(hash)
      this.#hashes[slot] = hash
      this.#sides[slot] = sides[i] ?? 0
    }
  }
}
