/** How long a sample counts, milliseconds. */
const WINDOW = 10_000
/** How far samples are apart at least. */
const STEP = 250
/** Nothing is said of less time. */
const LEAST = 1_000

interface Sample {
  readonly time: number
  readonly moved: number
}

/** How fast bytes have moved lately. Times are milliseconds. */
export class Pace {
  /** Bytes moved, those of failed attempts too. */
  #moved = 0
  readonly #samples: Sample[]

  constructor(now: number) {
    this.#samples = [{ time: now, moved: 0 }]
  }

  /** Counts bytes that have moved. */
  add(bytes: number): void {
    this.#moved += bytes
  }

  /** Returns the bytes per second of the last ten seconds; `undefined` until one has passed. To be asked now and then. */
  at(now: number): number | undefined {
    const last = this.#samples.at(-1)
    if (last === undefined || now - last.time >= STEP)
      this.#samples.push({ time: now, moved: this.#moved })
    while (this.#samples.length > 2 && now - (this.#samples[1]?.time ?? now) >= WINDOW)
      this.#samples.shift()
    const [first] = this.#samples
    const span = first === undefined ? 0 : now - first.time
    if (first === undefined || span < LEAST) return undefined
    return ((this.#moved - first.moved) * 1000) / span
  }
}
