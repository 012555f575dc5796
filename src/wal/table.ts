import { mergeBlocks, sortBlock } from '../tsm/arrange.ts'
import type { Block, TimeRange } from '../tsm/values.ts'
import type { WalDelete, WalWrite } from './entry.ts'
import { decodeRows, type Row } from './rows.ts'
import { withoutTimes } from './without.ts'

/** What a stretch of the WAL says of one key. */
export interface KeyRecord {
  readonly key: Uint8Array
  /** Deleted from everything before this stretch. */
  readonly deletes: readonly TimeRange[]
  /** The points left at its end, ascending; undefined if there are none. */
  readonly block: Block | undefined
}

/** Told of points given up because newer ones of their key have another type. */
export type OnConflict = (key: Uint8Array, points: number) => void

/** Columns of a row: payload, start, count, value type, next row of the key. */
const ROW = 5
const NONE = 0xffffffff

/** Value type of a row that is a delete; its start is an index into the deletes. */
const DELETED = 0

/** About what a key costs besides its text, bytes: its place in the map, the list of keys and the chain. */
const KEY_COST = 128

/** About what an entry costs besides its bytes: the objects around them. */
const ENTRY_COST = 400

/**
 * Entries of the WAL, by key. Keeps the payloads as they are and, per key, a chain of places in them; no object per
 * point. Order of entries is order of calls.
 */
export class WriteTable {
  readonly #onConflict: OnConflict
  #payloads: DataView[] = []
  #deletes: TimeRange[] = []
  #chains = new Map<string, { head: number; tail: number }>()
  #rows = new Uint32Array(ROW * 1024)
  #rowCount = 0
  #bytes = 0

  constructor(onConflict: OnConflict) {
    this.#onConflict = onConflict
  }

  /** About the memory it takes, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Adds a write; the table keeps its payload. */
  addWrite({ payload, types, keyStarts, keyEnds, counts, starts }: WalWrite): void {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
    const index = this.#payloads.push(new DataView(text.buffer, text.byteOffset, text.length)) - 1
    for (let row = 0; row < types.length; row += 1) {
      const key = text.toString('latin1', keyStarts[row], keyEnds[row])
      // No series has an empty key: influxd shows its points nowhere, and a TSM file cannot hold it.
      if (key === '') continue
      this.#append(key, [index, starts[row] ?? 0, counts[row] ?? 0, types[row] ?? 0])
    }
    this.#bytes += payload.length + ENTRY_COST
  }

  /** Adds a delete. Keys that were not written before are passed over, unless `unknownToo`: they may be elsewhere. */
  addDelete({ payload, keyStarts, keyEnds, ...range }: WalDelete, unknownToo: boolean): void {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
    const { minTime, maxTime } = range
    const index = this.#deletes.push({ minTime, maxTime }) - 1
    this.#bytes += ENTRY_COST
    for (let row = 0; row < keyStarts.length; row += 1) {
      const key = text.toString('latin1', keyStarts[row], keyEnds[row])
      if (unknownToo || this.#chains.has(key)) this.#append(key, [NONE, index, 0, DELETED])
    }
  }

  /** Yields what every key has, in order of key, and leaves the table empty. */
  *take(): Generator<KeyRecord> {
    for (const text of [...this.#chains.keys()].sort()) {
      const record = this.#settle(Buffer.from(text, 'latin1'), this.#chains.get(text)?.head)
      if (record.block !== undefined || record.deletes.length > 0) yield record
    }
    this.#payloads = []
    this.#deletes = []
    this.#chains = new Map()
    this.#rowCount = 0
    this.#bytes = 0
  }

  #append(key: string, fields: readonly [number, number, number, number]): void {
    const chain = this.#chains.get(key)
    // One entry holds a key once; of an entry that does not, influxd keeps the last.
    if (chain !== undefined && fields[0] !== NONE && this.#rows[chain.tail * ROW] === fields[0]) {
      this.#rows.set(fields, chain.tail * ROW)
      return
    }
    const row = this.#newRow(fields)
    if (chain === undefined) {
      this.#chains.set(key, { head: row, tail: row })
      this.#bytes += 2 * key.length + KEY_COST
      return
    }
    this.#rows[chain.tail * ROW + 4] = row
    chain.tail = row
  }

  #newRow(fields: readonly [number, number, number, number]): number {
    const row = this.#rowCount
    if ((row + 1) * ROW > this.#rows.length) {
      const larger = new Uint32Array(2 * this.#rows.length)
      larger.set(this.#rows)
      this.#rows = larger
    }
    this.#rows.set([...fields, NONE], row * ROW)
    this.#rowCount += 1
    this.#bytes += 4 * ROW
    return row
  }

  /** Plays the chain that begins at row `head`: writes, and deletes of what was written before them. */
  #settle(key: Uint8Array, head = NONE): KeyRecord {
    const deletes: TimeRange[] = []
    let block: Block | undefined
    for (let row = head; row !== NONE; ) {
      const range = this.#deletes[this.#field(row, 1)]
      if (this.#field(row, 3) === DELETED && range !== undefined) {
        deletes.push(range)
        block = block && withoutTimes(block, range)
        row = this.#field(row, 4)
      } else {
        const { written, next } = this.#gather(row)
        block = this.#overlay(key, block, written)
        row = next
      }
    }
    return { key, deletes, block: block?.times.length === 0 ? undefined : block }
  }

  #overlay(key: Uint8Array, older: Block | undefined, newer: Block): Block {
    if (older === undefined || older.times.length === 0) return newer
    if (older.type === newer.type) return mergeBlocks(older, newer)
    this.#onConflict(key, older.times.length)
    return newer
  }

  /** Decodes the rows of one type from `first` to the next delete, and says where the chain goes on. */
  #gather(first: number): { readonly written: Block; readonly next: number } {
    const type = this.#field(first, 3)
    const rows: Row[] = []
    let next = first
    for (; next !== NONE && this.#field(next, 3) === type; next = this.#field(next, 4)) {
      const view = this.#payloads[this.#field(next, 0)]
      if (view === undefined) continue
      rows.push({ view, start: this.#field(next, 1), count: this.#field(next, 2) })
    }
    return { written: sortBlock(decodeRows(type, rows)), next }
  }

  #field(row: number, column: number): number {
    return this.#rows[row * ROW + column] ?? NONE
  }
}
