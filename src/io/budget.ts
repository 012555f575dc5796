/** An amount that several share, of whom none waits for another: bytes of memory, bytes on a disk. */
export class Budget {
  readonly whole: number
  #left: number

  constructor(whole: number) {
    this.whole = whole
    this.#left = whole
  }

  /** Runs `work` with a function that takes a part, or none and returns false; what was taken is given back at its end. */
  async spend<T>(work: (take: (amount: number) => boolean) => Promise<T>): Promise<T> {
    let taken = 0
    let over = false
    const take = (amount: number) => {
      if (over || amount > this.#left) return false
      this.#left -= amount
      taken += amount
      return true
    }
    try {
      return await work(take)
    } finally {
      over = true
      this.#left += taken
    }
  }
}
