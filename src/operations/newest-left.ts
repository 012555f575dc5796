import type { FieldPoints, PolicyName } from '../formats/points.ts'
import type { Block } from '../tsm/values.ts'

/** Counts down the points of each key of a policy that are still wanted while its shards are read, the newest first. */
export class NewestLeft {
  readonly #count: number
  #left = new Map<string, number>()
  #policy = ''

  /** @param count points wanted of each key */
  constructor(count: number) {
    this.#count = count
  }

  /** How many points of a key are still wanted. */
  readonly of = (key: Uint8Array): number => this.#left.get(nameOf(key)) ?? this.#count

  /** Begins another policy, whose keys are others. */
  begin({ database, retentionPolicy }: PolicyName): void {
    const policy = JSON.stringify([database, retentionPolicy])
    if (policy !== this.#policy) this.#left = new Map()
    this.#policy = policy
  }

  /** Passes points on and counts them. */
  async *count(points: AsyncIterable<FieldPoints>): AsyncGenerator<FieldPoints, void, undefined> {
    for await (const field of points) yield { ...field, blocks: this.#counted(field) }
  }

  async *#counted({ key, blocks }: FieldPoints): AsyncGenerator<Block, void, undefined> {
    const name = nameOf(key)
    for await (const block of blocks) {
      this.#left.set(name, (this.#left.get(name) ?? this.#count) - block.times.length)
      yield block
    }
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
