import { isUtf8 } from 'node:buffer'
import { SnapError } from '../errors.ts'
import type { Block, FieldType } from '../tsm/values.ts'
import type { Cells, Rows } from './join.ts'
import type { MeasurementSchema } from './parquet-schema.ts'

type Cell = number | bigint | boolean | string | Uint8Array | null

/** A column of a row group, as the Parquet writer takes it. */
export interface ColumnData {
  readonly name: string
  readonly data: BigInt64Array | Cell[]
}

/** Where the values of a series go. */
export interface Placement {
  /** Values by key. */
  readonly tags: ReadonlyMap<string, Uint8Array>
  /** For each field that was joined, the number of its column. */
  readonly columns: readonly number[]
}

const MAX_ROWS = 100_000
const MAX_CELLS = 4_000_000
/** Bytes of strings. */
const MAX_TEXT = 2 ** 26

/** Rows on their way into a Parquet file, in columns. */
export class RowGroup {
  readonly #schema: MeasurementSchema
  readonly #maxRows: number
  readonly #columns: ReadonlyMap<string, number>
  #times: BigInt64Array[] = []
  #tags: Cell[][]
  #fields: Cell[][]
  #count = 0
  #textSize = 0
  #replacedStrings = 0

  constructor(schema: MeasurementSchema) {
    this.#schema = schema
    this.#tags = schema.tags.map(() => [])
    this.#fields = schema.fields.map(() => [])
    this.#columns = new Map(schema.fields.map(({ field, type }, i) => [`${type} ${field}`, i]))
    const columns = 1 + schema.tags.length + schema.fields.length
    this.#maxRows = Math.min(MAX_ROWS, Math.ceil(MAX_CELLS / columns))
  }

  /** Rows that are held. */
  get count(): number {
    return this.#count
  }

  /** Whether there are enough rows for a row group. */
  get isFull(): boolean {
    return this.#count >= this.#maxRows || this.#textSize >= MAX_TEXT
  }

  /** Strings that were not UTF-8, since the beginning. */
  get replacedStrings(): number {
    return this.#replacedStrings
  }

  /**
   * Returns the number of the column of a field.
   * @throws SnapError `E_FAILED` if the schema has none
   */
  columnOf(field: string, type: FieldType): number {
    const column = this.#columns.get(`${type} ${field}`)
    if (column !== undefined) return column
    throw new SnapError(
      'E_FAILED',
      `parquet: ${type} field ${JSON.stringify(field)} is not in the schema`,
    )
  }

  /** Adds rows of one series. */
  add({ times, cells }: Rows, { tags, columns }: Placement): void {
    const start = this.#count
    this.#times.push(times)
    this.#count += times.length
    for (const [i, { key }] of this.#schema.tags.entries()) {
      const value = tags.get(key)
      if (value === undefined) continue
      const text = isUtf8(value) ? value : this.#replace(value)
      const data = padded(this.#tags[i], start)
      for (let row = 0; row < times.length; row += 1) data.push(text)
    }
    for (const part of cells) {
      const data = padded(this.#fields[columns[part.field] ?? 0], start)
      this.#addCells(data, start, part)
    }
  }

  /** Returns the rows and begins anew. */
  take(): ColumnData[] {
    const { tags, fields } = this.#schema
    const time = new BigInt64Array(this.#count)
    let at = 0
    for (const times of this.#times) {
      time.set(times, at)
      at += times.length
    }
    const columns = [...this.#tags, ...this.#fields]
    const data = [...tags, ...fields].map(({ name }, i) => ({
      name,
      data: padded(columns[i], this.#count),
    }))
    this.#times = []
    this.#tags = tags.map(() => [])
    this.#fields = fields.map(() => [])
    this.#count = 0
    this.#textSize = 0
    return [{ name: 'time', data: time }, ...data]
  }

  #addCells(data: Cell[], start: number, { block, rows }: Cells): void {
    const cellAt = this.#cellsOf(block)
    for (let i = 0; i < block.times.length; i += 1) {
      if (rows !== undefined) padded(data, start + (rows[i] ?? 0))
      data.push(cellAt(i))
    }
  }

  #cellsOf(block: Block): (i: number) => Cell {
    switch (block.type) {
      case 'float':
      case 'integer':
      case 'unsigned': {
        const { values } = block
        return (i) => values[i] ?? null
      }
      case 'boolean': {
        const { values } = block
        return (i) => values[i] !== 0
      }
      case 'string': {
        const { offsets, bytes } = block.values
        this.#textSize += (offsets.at(-1) ?? 0) - (offsets[0] ?? 0)
        return (i) => {
          const text = bytes.subarray(offsets[i], offsets[i + 1])
          return isUtf8(text) ? text : this.#replace(text)
        }
      }
    }
  }

  #replace(bytes: Uint8Array): string {
    this.#replacedStrings += 1
    return Buffer.from(bytes).toString()
  }
}

/** Fills a column up with nothing, to `length`. */
function padded(data: Cell[] = [], length: number): Cell[] {
  while (data.length < length) data.push(null)
  return data
}
