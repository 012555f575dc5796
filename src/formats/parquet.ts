import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { SnapError } from '../errors.ts'
import { snappyEncode } from '../tsm/codecs/snappy.ts'
import type { FieldType } from '../tsm/values.ts'
import { joinByTime } from './join.ts'
import type { MeasurementSchema } from './parquet-schema.ts'
import { latin1, type SeriesPoints } from './points.ts'
import { RowGroup } from './row-group.ts'

type ParquetSchema = ConstructorParameters<typeof ParquetWriter>[0]['schema']
type ParquetColumn = ParquetSchema[number]

const COLUMN_OF: Readonly<Record<FieldType, Omit<ParquetColumn, 'name'>>> = {
  float: { type: 'DOUBLE' },
  integer: { type: 'INT64' },
  // Not the logical type of 64 bits, unsigned: hyparquet-writer 0.17 writes it so that DuckDB cannot read the file.
  unsigned: { type: 'INT64', converted_type: 'UINT_64' },
  boolean: { type: 'BOOLEAN' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
}

/** Texts that are longer, in bytes, do not bound a column: the footer would hold them. */
const MAX_BOUND = 1024

/**
 * A Parquet file of one measurement: a row for each series and time, with `time`, tags and fields as columns. Rows are
 * held until there are enough for a row group: 50,000, or fewer if the columns are many or the texts long.
 */
export class ParquetFile {
  readonly #schema: MeasurementSchema
  readonly #bytes = new ByteWriter()
  readonly #writer: ParquetWriter
  readonly #group: RowGroup

  constructor(schema: MeasurementSchema) {
    this.#schema = schema
    this.#group = new RowGroup(schema)
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: parquetSchema(schema),
      compressors: { SNAPPY: snappyEncode },
      createdBy: 'influx-snap',
      kvMetadata: [{ key: 'influxdb', value: describe(schema) }],
    })
  }

  /** Strings until now that were not UTF-8, as Parquet asks: their wrong bytes became U+FFFD. */
  get replacedStrings(): number {
    return this.#group.replacedStrings
  }

  /**
   * Adds all points of a series and gives the bytes of the file that are final.
   * @throws SnapError `E_FAILED` if the series has a tag or field that the schema has not
   */
  async *add(series: SeriesPoints): AsyncGenerator<Uint8Array, void, undefined> {
    const columns = series.fields.map(({ name, type }) => this.#group.columnOf(name, type))
    const tags = new Map(series.tags.map(({ key, value }) => [latin1(key), value]))
    this.#checkTags(tags)
    for await (const rows of joinByTime(series.fields.map(({ blocks }) => blocks))) {
      this.#group.add(rows, { tags, columns })
      if (this.#group.isFull) yield await this.flush()
    }
  }

  /** Writes the rows that are held as a row group and gives its bytes, so that many files can be open. */
  async flush(): Promise<Uint8Array> {
    const { count } = this.#group
    const columnData = this.#group.take()
    if (count > 0) await this.#writer.write({ columnData, rowGroupSize: count })
    this.#ownBounds()
    return this.#take()
  }

  /** Ends the file and gives the rest of its bytes. */
  async finish(): Promise<Uint8Array> {
    const rows = await this.flush()
    await this.#writer.finish()
    return Buffer.concat([rows, this.#take()])
  }

  /** The least and the greatest text of a column are kept for the footer: not as views, with all texts of the row group. */
  #ownBounds(): void {
    for (const { meta_data } of this.#writer.row_groups.at(-1)?.columns ?? []) {
      const bounds = meta_data?.statistics ?? {}
      for (const name of ['min_value', 'max_value'] as const) {
        const bound = bounds[name]
        if (!(bound instanceof Uint8Array)) continue
        if (bound.length > MAX_BOUND) delete bounds[name]
        else bounds[name] = bound.slice()
      }
    }
  }

  #take(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice()
    this.#bytes.index = 0
    return bytes
  }

  #checkTags(tags: ReadonlyMap<string, Uint8Array>): void {
    for (const key of tags.keys()) {
      if (this.#schema.tags.some((column) => column.key === key)) continue
      throw new SnapError('E_FAILED', `parquet: tag ${JSON.stringify(key)} is not in the schema`)
    }
  }
}

function parquetSchema({ tags, fields }: MeasurementSchema): ParquetSchema {
  const time: ParquetColumn = {
    name: 'time',
    type: 'INT64',
    repetition_type: 'REQUIRED',
    // Adjusted to UTC, DuckDB would cut the time to microseconds.
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'NANOS' },
  }
  const columns = [
    ...tags.map(({ name }) => ({ name, ...COLUMN_OF.string })),
    ...fields.map(({ name, type }) => ({ name, ...COLUMN_OF[type] })),
  ]
  return [
    { name: 'root', num_children: columns.length + 1 },
    time,
    ...columns.map((column): ParquetColumn => ({ ...column, repetition_type: 'OPTIONAL' })),
  ]
}

/** Says as JSON which columns are tags and which fields, under their own names. */
function describe({ measurement, tags, fields }: MeasurementSchema): string {
  const text = (bytes: string) => Buffer.from(bytes, 'latin1').toString()
  return JSON.stringify({
    measurement: text(measurement),
    tags: tags.map(({ name, key }) => ({ column: name, tag: text(key) })),
    fields: fields.map(({ name, field, type }) => ({ column: name, field: text(field), type })),
  })
}
