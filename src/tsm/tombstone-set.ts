import { mergeRanges } from './time-ranges.ts'
import { decodeTombstones, type Tombstone } from './tombstone.ts'
import type { TimeRange } from './values.ts'

// ranges of a key that are kept as they came before they are merged
const MERGE_AT = 16

interface Deleted {
  ranges: TimeRange[]
  /** Merge when there are as many. */
  mergeAt: number
}

/** The deletions of one TSM file by key. Its memory is that of the distinct keys and ranges. */
export class TombstoneSet {
  // keys as latin1: one character a byte
  readonly #keys = new Map<string, Deleted>()
  readonly #prefixes = new Map<string, Deleted>()

  /** True if nothing is deleted. */
  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#prefixes.size === 0
  }

  /** Adds one deletion. */
  add({ key, prefix, minTime, maxTime }: Tombstone): void {
    const target = prefix ? this.#prefixes : this.#keys
    const name = latin1(key)
    let deleted = target.get(name)
    if (deleted === undefined) {
      deleted = { ranges: [], mergeAt: MERGE_AT }
      target.set(name, deleted)
    }
    deleted.ranges.push({ minTime, maxTime })
    if (deleted.ranges.length < deleted.mergeAt) return
    deleted.ranges = mergeRanges(deleted.ranges)
    deleted.mergeAt = deleted.ranges.length + Math.max(MERGE_AT, deleted.ranges.length)
  }

  /** Returns what is deleted of `key`, merged and in order. */
  rangesOf(key: Uint8Array): readonly TimeRange[] {
    if (this.isEmpty) return []
    const name = latin1(key)
    const ranges = [...(this.#keys.get(name)?.ranges ?? [])]
    for (const [prefix, deleted] of this.#prefixes) {
      if (name.startsWith(prefix)) ranges.push(...deleted.ranges)
    }
    return mergeRanges(ranges)
  }
}

function latin1(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}

/**
 * Reads the tombstone file of one TSM file.
 * @param name names the file in messages
 * @throws SnapError `E_FORMAT` if it is damaged
 */
export async function readTombstones(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
): Promise<TombstoneSet> {
  const set = new TombstoneSet()
  for await (const tombstone of decodeTombstones(chunks, name)) set.add(tombstone)
  return set
}
