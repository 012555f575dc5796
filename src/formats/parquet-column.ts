import { isUtf8 } from 'node:buffer'
import type { Block, StringColumn } from '../tsm/values.ts'
import { latin1 } from './points.ts'

/** A value as the Parquet writer takes it. */
export type Cell = number | bigint | boolean | string | Uint8Array | null

/** A value for each row of a column, as the Parquet writer takes them. */
export type ColumnValues = Float64Array | BigInt64Array | BigUint64Array | Cell[]

type NumberBlock = Exclude<Block, { readonly type: 'string' }>
type NumberType = NumberBlock['type']

/** Rows that there is room for at first. */
const FIRST_ROWS = 64
/** The most different strings of a column that are looked up, so that equal ones are one object. */
const MAX_KNOWN = 10_000

/** Numbers or booleans of a field in the rows of a row group, eight bytes each, or one. */
export class NumberColumn {
  readonly #type: NumberType
  readonly #width: number
  #bytes = new Uint8Array(0)
  /** 1 for each row that has a value. */
  #has = new Uint8Array(0)
  #filled = 0

  constructor(type: NumberType) {
    this.#type = type
    this.#width = type === 'boolean' ? 1 : 8
  }

  /** Adds values for the rows from `start` on, or for those of them that `rows` says. */
  add({ values }: NumberBlock, start: number, rows: Uint32Array | undefined): void {
    const from = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const end = start + (rows === undefined ? values.length : (rows.at(-1) ?? 0) + 1)
    this.#bytes = withRoom(this.#bytes, this.#width * end)
    this.#has = withRoom(this.#has, end)
    this.#filled += values.length
    const width = this.#width
    if (rows === undefined) {
      this.#bytes.set(from, width * start)
      this.#has.fill(1, start, end)
      return
    }
    for (const [i, row] of rows.entries()) {
      const at = width * (start + row)
      for (let byte = 0; byte < width; byte += 1) {
        this.#bytes[at + byte] = from[width * i + byte] ?? 0
      }
      this.#has[start + row] = 1
    }
  }

  /** Returns the values of so many rows, nothing where there is none. */
  values(rows: number): ColumnValues {
    const values = this.#array()
    if (this.#filled === rows && !(values instanceof Uint8Array)) return values.subarray(0, rows)
    const cells = new Array<Cell>(rows).fill(null)
    const valueAt = values instanceof Uint8Array ? (i: number) => values[i] !== 0 : valuesIn(values)
    for (let row = 0; row < rows; row += 1) if (this.#has[row] === 1) cells[row] = valueAt(row)
    return cells
  }

  /** Tells whether one of them is -0. */
  hasNegativeZero(): boolean {
    const values = this.#array()
    return values instanceof Float64Array && values.some((value) => Object.is(value, -0))
  }

  #array() {
    const { buffer } = this.#bytes
    switch (this.#type) {
      case 'float':
        return new Float64Array(buffer)
      case 'integer':
        return new BigInt64Array(buffer)
      case 'unsigned':
        return new BigUint64Array(buffer)
      case 'boolean':
        return this.#bytes
    }
  }
}

function valuesIn(values: Float64Array | BigInt64Array | BigUint64Array): (i: number) => Cell {
  return (i) => values[i] ?? null
}

/** Texts of a tag or a field in the rows of a row group. */
export class TextColumn {
  #bytes = new Uint8Array(0)
  #size = 0
  /** Of each row where its text begins, and one more than where it ends; 0: none. */
  #places = new Uint32Array(0)

  /** Adds texts for the rows from `start` on, or for those of them that `rows` says. Returns how many bytes. */
  add({ offsets, bytes }: StringColumn, start: number, rows: Uint32Array | undefined): number {
    const before = this.#size
    const first = offsets[0] ?? 0
    const base = this.#put(bytes.subarray(first, offsets.at(-1))) - first
    const count = offsets.length - 1
    this.#reserve(start + (rows === undefined ? count : (rows.at(-1) ?? -1) + 1))
    for (let i = 0; i < count; i += 1) {
      const row = start + (rows?.[i] ?? i)
      this.#places[2 * row] = base + (offsets[i] ?? 0)
      this.#places[2 * row + 1] = base + (offsets[i + 1] ?? 0) + 1
    }
    return this.#size - before
  }

  /** Adds the same text for rows `start` (inclusive) to `end` (exclusive). Returns how many bytes. */
  repeat(text: Uint8Array, start: number, end: number): number {
    const base = this.#put(text)
    this.#reserve(end)
    for (let row = start; row < end; row += 1) {
      this.#places[2 * row] = base
      this.#places[2 * row + 1] = base + text.length + 1
    }
    return text.length
  }

  /**
   * Returns the texts of so many rows, nothing where there is none.
   * @param onReplaced called for each text that is not UTF-8: its wrong bytes become U+FFFD
   */
  values(rows: number, onReplaced: () => void): Cell[] {
    this.#reserve(rows)
    const cells = new Array<Cell>(rows).fill(null)
    const cellOf = textReader(onReplaced)
    let last: { readonly start: number; readonly end: number; readonly cell: Cell } | undefined
    for (let row = 0; row < rows; row += 1) {
      const start = this.#places[2 * row] ?? 0
      const end = this.#places[2 * row + 1] ?? 0
      if (end === 0) continue
      if (last?.start !== start || last.end !== end) {
        last = { start, end, cell: cellOf(this.#bytes.subarray(start, end - 1)) }
      }
      cells[row] = last.cell
    }
    return cells
  }

  /** Puts bytes in and returns where they are. */
  #put(bytes: Uint8Array): number {
    const at = this.#size
    this.#size += bytes.length
    this.#bytes = withRoom(this.#bytes, this.#size)
    this.#bytes.set(bytes, at)
    return at
  }

  #reserve(rows: number): void {
    if (this.#places.length >= 2 * rows) return
    const places = new Uint32Array(2 * roomFor(this.#places.length / 2, rows))
    places.set(this.#places)
    this.#places = places
  }
}

/** Returns a function that gives equal texts as one object, as bytes if they are UTF-8. */
function textReader(onReplaced: () => void): (bytes: Uint8Array) => Cell {
  const known = new Map<string, Cell>()
  return (bytes) => {
    const id = latin1(bytes)
    let cell = known.get(id)
    if (cell === undefined) {
      cell = isUtf8(bytes) ? bytes : Buffer.from(bytes).toString()
      if (known.size < MAX_KNOWN) known.set(id, cell)
    }
    if (typeof cell === 'string') onReplaced()
    return cell
  }
}

function withRoom(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= size) return bytes
  const larger = new Uint8Array(roomFor(bytes.length, size))
  larger.set(bytes)
  return larger
}

/** Returns how much room to make: twice as much as there is, or what is needed. A multiple of eight. */
function roomFor(has: number, needed: number): number {
  return 8 * Math.ceil(Math.max(FIRST_ROWS, 2 * has, needed) / 8)
}
