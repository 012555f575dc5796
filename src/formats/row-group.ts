import { SnapError } from '../errors.ts'
import type { FieldType } from '../tsm/values.ts'
import type { Rows } from './join.ts'
import { type ColumnValues, NumberColumn, TextColumn } from './parquet-column.ts'
import type { MeasurementSchema } from './parquet-schema.ts'

/** A column of a row group, as the Parquet writer takes it. */
export interface ColumnData {
  readonly name: string
  readonly data: ColumnValues
  /** Without a dictionary. */
  readonly encoding?: 'PLAIN'
}

/** Where the values of a series go. */
export interface Placement {
  /** Values by key. */
  readonly tags: ReadonlyMap<string, Uint8Array>
  /** For each field that was joined, the number of its column. */
  readonly columns: readonly number[]
}

const MAX_ROWS = 50_000
const MAX_CELLS = 1_000_000
/** Bytes of texts. */
const MAX_TEXT = 2 ** 23

/** Rows on their way into a Parquet file, in columns. */
export class RowGroup {
  readonly #schema: MeasurementSchema
  readonly #maxRows: number
  readonly #columns: ReadonlyMap<string, number>
  #held: HeldColumns
  #count = 0
  #textSize = 0
  #replacedStrings = 0

  constructor(schema: MeasurementSchema) {
    this.#schema = schema
    this.#held = newColumns(schema)
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

  /** Strings that were not UTF-8, of all that were written. */
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
    this.#count += times.length
    this.#held.times.add({ type: 'integer', times, values: times }, start, undefined)
    for (const [i, { key }] of this.#schema.tags.entries()) {
      const value = tags.get(key)
      if (value === undefined) continue
      this.#textSize += this.#held.tags[i]?.repeat(value, start, this.#count) ?? 0
    }
    for (const { field, block, rows } of cells) {
      const column = this.#held.fields[columns[field] ?? 0]
      if (block.type === 'string' && column instanceof TextColumn) {
        this.#textSize += column.add(block.values, start, rows)
      } else if (block.type !== 'string' && column instanceof NumberColumn) {
        column.add(block, start, rows)
      }
    }
  }

  /** Returns the rows and begins anew. The values of a column are made when its `data` is read, each time, and not kept. */
  take(): ColumnData[] {
    const [{ times, tags, fields }, count] = [this.#held, this.#count]
    this.#held = newColumns(this.#schema)
    this.#count = 0
    this.#textSize = 0
    const dataOf = (name: string, column: NumberColumn | TextColumn | undefined): ColumnData => {
      const onReplaced = () => {
        this.#replacedStrings += 1
      }
      // To the writer's dictionary (hyparquet-writer 0.17) -0 is the same as 0, and the first one stands for both.
      const isPlain = column instanceof NumberColumn && column.hasNegativeZero()
      return {
        name,
        ...(isPlain && { encoding: 'PLAIN' }),
        get data() {
          return column?.values(count, onReplaced) ?? []
        },
      }
    }
    return [
      dataOf('time', times),
      ...this.#schema.tags.map(({ name }, i) => dataOf(name, tags[i])),
      ...this.#schema.fields.map(({ name }, i) => dataOf(name, fields[i])),
    ]
  }
}

/** The columns of the rows that are held. */
interface HeldColumns {
  readonly times: NumberColumn
  readonly tags: readonly TextColumn[]
  readonly fields: readonly (NumberColumn | TextColumn)[]
}

function newColumns({ tags, fields }: MeasurementSchema): HeldColumns {
  return {
    times: new NumberColumn('integer'),
    tags: tags.map(() => new TextColumn()),
    fields: fields.map(({ type }) =>
      type === 'string' ? new TextColumn() : new NumberColumn(type),
    ),
  }
}
