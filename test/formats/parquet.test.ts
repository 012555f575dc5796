import { fc, test } from '@fast-check/vitest'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { ParquetFile } from '../../src/formats/parquet.ts'
import { type MeasurementSchema, SchemaCollector } from '../../src/formats/parquet-schema.ts'
import { type FieldPoints, groupBySeries } from '../../src/formats/points.ts'
import {
  anyPoints,
  fieldPoints,
  keyOf,
  type Names,
  type Points,
  stream,
  TYPES,
  type Value,
} from './blocks.ts'

interface FieldOf {
  readonly series: Names
  readonly field: string
  readonly points: Points
  readonly size?: number
}

function schemaOf(fields: readonly FieldOf[]): MeasurementSchema {
  const collector = new SchemaCollector()
  for (const { series, field, points } of fields) collector.add(keyOf(series, field), points.type)
  const [schema, ...others] = collector.schemas().values()
  if (schema === undefined || others.length > 0) throw new Error('not one measurement')
  return schema
}

function pointsOf(fields: readonly FieldOf[]): FieldPoints[] {
  return fields
    .map(({ series, field, points, size }) => fieldPoints(keyOf(series, field), points, size))
    .sort((a, b) => Buffer.compare(a.key, b.key))
}

async function write(fields: readonly FieldOf[], schema = schemaOf(fields)) {
  const file = new ParquetFile(schema)
  const chunks: Uint8Array[] = []
  for await (const series of groupBySeries(stream(pointsOf(fields)))) {
    for await (const chunk of file.add(series)) chunks.push(chunk)
  }
  chunks.push(await file.finish())
  return { bytes: Buffer.concat(chunks), chunks, file }
}

async function read(bytes: Buffer) {
  const file = new Uint8Array(bytes).buffer
  return await parquetReadObjects({
    file,
    parsers: { timestampFromNanoseconds: (value: bigint) => value },
  })
}

const CPU = { measurement: 'cpu', tags: [['host', 'a']] } as const

describe('ParquetFile', () => {
  it('has time, tags and fields as columns, and a row for each series and time', async () => {
    const fields: FieldOf[] = [
      { series: CPU, field: 'f', points: { type: 'float', times: [1n, 3n], values: [0.5, -0] } },
      { series: CPU, field: 'i', points: { type: 'integer', times: [1n], values: [-(2n ** 63n)] } },
      {
        series: CPU,
        field: 'u',
        points: { type: 'unsigned', times: [2n], values: [2n ** 64n - 1n] },
      },
      {
        series: { measurement: 'cpu', tags: [['zone', '\xc3\xbc']] },
        field: 'b',
        points: { type: 'boolean', times: [-1n, 0n], values: [true, false] },
      },
      {
        series: { measurement: 'cpu', tags: [] },
        field: 's',
        points: { type: 'string', times: [2n ** 63n - 1n], values: ['two\nlines'] },
      },
    ]
    const none = { host: null, zone: null, b: null, f: null, i: null, s: null, u: null }
    const { bytes } = await write(fields)
    expect(await read(bytes)).toEqual([
      { ...none, time: 2n ** 63n - 1n, s: 'two\nlines' },
      { ...none, time: 1n, host: 'a', f: 0.5, i: -(2n ** 63n) },
      { ...none, time: 2n, host: 'a', u: 2n ** 64n - 1n },
      { ...none, time: 3n, host: 'a', f: -0 },
      { ...none, time: -1n, zone: 'ü', b: true },
      { ...none, time: 0n, zone: 'ü', b: false },
    ])
  })

  it('tells 0 from -0 where they are many', async () => {
    const values = Array.from({ length: 2_000 }, (_, i) => (i % 3 === 0 ? 0 : -0))
    const times = values.map((_, i) => BigInt(i))
    const points = { type: 'float', times, values } as const
    const { bytes } = await write([{ series: CPU, field: 'f', points }])
    expect((await read(bytes)).map(({ f }) => Object.is(f, -0))).toEqual(
      values.map((value) => Object.is(value, -0)),
    )
  })

  it('says what the columns are', async () => {
    const clash = {
      measurement: 'm é',
      tags: [
        ['value', 'x'],
        ['Time', 'y'],
      ],
    } as const
    const fields: FieldOf[] = [
      { series: clash, field: 'value', points: { type: 'float', times: [1n], values: [1] } },
      { series: clash, field: 'mixed', points: { type: 'float', times: [1n], values: [1] } },
      { series: clash, field: 'mixed', points: { type: 'string', times: [2n], values: ['x'] } },
    ]
    const { bytes } = await write(fields)
    const metadata = parquetMetadata(new Uint8Array(bytes).buffer)
    expect(metadata.schema.slice(1)).toEqual([
      {
        name: 'time',
        type: 'INT64',
        repetition_type: 'REQUIRED',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'NANOS' },
      },
      { name: 'Time_1', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'value', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'mixed_float', type: 'DOUBLE', repetition_type: 'OPTIONAL' },
      {
        name: 'mixed_string',
        type: 'BYTE_ARRAY',
        converted_type: 'UTF8',
        repetition_type: 'OPTIONAL',
      },
      { name: 'value_1', type: 'DOUBLE', repetition_type: 'OPTIONAL' },
    ])
    const [entry] = metadata.key_value_metadata ?? []
    expect(JSON.parse(entry?.value ?? '')).toEqual({
      measurement: Buffer.from('m é', 'latin1').toString(),
      tags: [
        { column: 'Time_1', tag: 'Time' },
        { column: 'value', tag: 'value' },
      ],
      fields: [
        { column: 'mixed_float', field: 'mixed', type: 'float' },
        { column: 'mixed_string', field: 'mixed', type: 'string' },
        { column: 'value_1', field: 'value', type: 'float' },
      ],
    })
  })

  const hosts = fc.constantFrom('a', 'b,c', 'd e')
  const field = fc.record({
    host: hosts,
    field: fc.constantFrom('x', 'y,z', 'é', '=#!'),
    size: fc.integer({ min: 1, max: 9 }),
    points: fc.constantFrom(...TYPES).chain((type) => anyPoints(type)),
  })
  test.prop([
    fc.uniqueArray(field, { selector: ({ host, field: f }) => `${host} ${f}`, minLength: 1 }),
  ])('reads back', async (list) => {
    const fields = list.map(({ host, ...rest }) => ({
      ...rest,
      series: { measurement: 'm', tags: [['host', host]] as const },
    }))
    const schema = schemaOf(fields)
    const expected = new Map<string, Record<string, unknown>>()
    for (const { series, field: name, points } of fields) {
      const column = schema.fields.find((c) => c.field === name && c.type === points.type)
      for (const [i, time] of points.times.entries()) {
        const [[, host] = []] = series.tags
        const empty = Object.fromEntries(schema.fields.map((c) => [c.name, null]))
        const row = expected.get(`${host} ${time}`) ?? { time, host, ...empty }
        const value: Value | undefined = points.values[i]
        row[column?.name ?? ''] =
          typeof value === 'string' ? Buffer.from(value, 'latin1').toString() : value
        expected.set(`${host} ${time}`, row)
      }
    }
    const { bytes } = await write(fields, schema)
    const text = (rows: Iterable<unknown>) =>
      [...rows].map((row) =>
        JSON.stringify(
          row,
          (_, v) => (typeof v === 'bigint' ? `${v}n` : Object.is(v, -0) ? '-0' : v),
          0,
        ),
      )
    const order = (row: Record<string, unknown>) =>
      Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))
    expect(text((await read(bytes)).map(order)).sort()).toEqual(
      text([...expected.values()].map(order)).sort(),
    )
  })

  it('writes row groups as they fill', async () => {
    const times = Array.from({ length: 30_000 }, (_, i) => BigInt(i))
    const fields = ['a', 'b', 'c', 'd'].map((host) => ({
      series: { measurement: 'm', tags: [['host', host]] as const },
      field: 'f',
      points: { type: 'float', times, values: times.map(Number) } as const,
    }))
    const { bytes, chunks } = await write(fields)
    expect(chunks).toHaveLength(3)
    const metadata = parquetMetadata(new Uint8Array(bytes).buffer)
    expect(metadata.row_groups.map(({ num_rows }) => num_rows)).toEqual([50_000n, 50_000n, 20_000n])
    const rows = await read(bytes)
    expect(rows).toHaveLength(120_000)
    expect(rows.at(-1)).toEqual({ time: 29_999n, host: 'd', f: 29_999 })
  })

  it('writes fewer rows at once when strings are long', async () => {
    const values = Array.from({ length: 2000 }, (_, i) => `${i}`.padEnd(40_000))
    const times = values.map((_, i) => BigInt(i))
    const { bytes } = await write([
      { series: CPU, field: 's', points: { type: 'string', times, values }, size: 100 },
    ])
    const metadata = parquetMetadata(new Uint8Array(bytes).buffer)
    expect(metadata.row_groups.map(({ num_rows }) => num_rows)).toEqual([
      300n,
      300n,
      300n,
      300n,
      300n,
      300n,
      200n,
    ])
  })

  it('does not bound columns by long texts', async () => {
    const points = { type: 'string', times: [1n, 2n], values: ['a'.repeat(2000), 'b'] } as const
    const { bytes } = await write([{ series: CPU, field: 's', points }])
    const { row_groups } = parquetMetadata(new Uint8Array(bytes).buffer)
    const bounds = row_groups[0]?.columns.slice(1).map(({ meta_data }) => meta_data?.statistics)
    expect(bounds?.map((one) => [one?.min_value, one?.max_value])).toEqual([
      ['a', 'a'],
      [undefined, 'b'],
    ])
  })

  it('tells nothing from empty texts', async () => {
    const { bytes } = await write([
      {
        series: CPU,
        field: 'f',
        points: { type: 'float', times: [1n, 2n, 3n], values: [1, 2, 3] },
      },
      { series: CPU, field: 's', points: { type: 'string', times: [1n, 3n], values: ['', ''] } },
    ])
    const rows = await read(bytes)
    expect(rows.map((row) => row['s'])).toEqual(['', null, ''])
  })

  it('may be flushed at any time', async () => {
    const point = { type: 'float', times: [1n], values: [1] } as const
    const fields = [{ series: CPU, field: 'f', points: point }]
    const file = new ParquetFile(schemaOf(fields))
    const chunks: Uint8Array[] = [await file.flush()]
    for (let i = 0; i < 2; i += 1) {
      for await (const series of groupBySeries(stream(pointsOf(fields)))) {
        for await (const chunk of file.add(series)) chunks.push(chunk)
      }
      chunks.push(await file.flush())
    }
    chunks.push(await file.finish())
    expect(await read(Buffer.concat(chunks))).toEqual(Array(2).fill({ time: 1n, host: 'a', f: 1 }))
  })

  it('may have no rows', async () => {
    const { bytes } = await write([
      { series: CPU, field: 'f', points: { type: 'float', times: [], values: [] } },
    ])
    expect(await read(bytes)).toEqual([])
  })

  it('replaces what is not UTF-8, and counts it', async () => {
    const { bytes, file } = await write([
      {
        series: { measurement: 'm', tags: [['t', 'a\xff']] },
        field: 's',
        points: { type: 'string', times: [1n, 2n, 3n], values: ['ok', '\xc3\xa9', '\xc3'] },
      },
    ])
    expect(await read(bytes)).toEqual([
      { time: 1n, t: 'a\ufffd', s: 'ok' },
      { time: 2n, t: 'a\ufffd', s: 'é' },
      { time: 3n, t: 'a\ufffd', s: '\ufffd' },
    ])
    expect(file.replacedStrings).toBe(2)
  })

  it('refuses what is not in the schema', async () => {
    const point = { type: 'float', times: [1n], values: [1] } as const
    const schema = schemaOf([{ series: CPU, field: 'f', points: point }])
    const other = { measurement: 'cpu', tags: [['rack', 'a']] } as const
    await expect(write([{ series: other, field: 'f', points: point }], schema)).rejects.toThrow(
      expect.objectContaining({
        code: 'E_FAILED',
        message: 'parquet: tag "rack" is not in the schema',
      }),
    )
    await expect(write([{ series: CPU, field: 'g', points: point }], schema)).rejects.toThrow(
      expect.objectContaining({ code: 'E_FAILED' }),
    )
  })
})

describe('groupBySeries', () => {
  it('puts the fields of a series together', async () => {
    const point = { type: 'float', times: [1n], values: [1] } as const
    const keys = ['a', 'b'].flatMap((host) =>
      ['x', 'y'].map((field) => keyOf({ measurement: 'm', tags: [['host', host]] }, field)),
    )
    const found: unknown[] = []
    for await (const { measurement, tags, fields } of groupBySeries(
      stream(keys.map((key) => fieldPoints(key, point))),
    )) {
      found.push([
        measurement,
        Buffer.from(tags[0]?.value ?? []).toString(),
        fields.map(({ name }) => name),
      ])
    }
    expect(found).toEqual([
      ['m', 'a', ['x', 'y']],
      ['m', 'b', ['x', 'y']],
    ])
  })

  it('gives nothing for nothing', async () => {
    for await (const _ of groupBySeries(stream([]))) throw new Error('a series')
  })
})
