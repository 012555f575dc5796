import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { CSV_HEADER, encodeCsv } from '../../src/formats/csv.ts'
import { parseCsv } from '../helpers/csv.ts'
import { anyPoints, collect, fieldPoints, keyOf, stream, TYPES } from './blocks.ts'

const POLICY = { database: 'odd, "db"', retentionPolicy: 'r\np' }

describe('encodeCsv', () => {
  it('has one row for each value', async () => {
    const series = {
      measurement: 'cpu load',
      tags: [
        ['host', 'a'],
        ['zone', 'b,c'],
      ],
    } as const
    const floats = { type: 'float', times: [-1n, 2n], values: [0.5, Number.NaN] } as const
    const texts = { type: 'string', times: [1n, 2n], values: ['', 'say "hi"'] } as const
    const fields = stream([
      fieldPoints(keyOf(series, 'usage'), floats),
      fieldPoints(keyOf({ measurement: 'm', tags: [] }, 'text'), texts),
    ])
    const rows = await collect(encodeCsv(fields, { database: 'db', retentionPolicy: 'rp' }))
    expect(CSV_HEADER + rows.toString()).toBe(
      [
        'database,retention_policy,name,tags,field,type,time,value',
        'db,rp,cpu load,"host=a,zone=b\\,c",usage,float,-1,0.5',
        'db,rp,cpu load,"host=a,zone=b\\,c",usage,float,2,NaN',
        'db,rp,m,,text,string,1,""',
        'db,rp,m,,text,string,2,"say ""hi"""',
        '',
      ].join('\n'),
    )
  })

  const name = fc
    .array(fc.constantFrom(...'a, ="\n\ré\\'), { minLength: 1, maxLength: 6 })
    .map((parts) => parts.join(''))
  test.prop([
    name.filter((text) => !text.includes('\\')),
    name,
    fc
      .constantFrom(...TYPES)
      .chain((type) => fc.tuple(anyPoints(type), fc.integer({ min: 1, max: 9 }))),
  ])('reads back', async (measurement, field, [data, size]) => {
    const key = keyOf({ measurement, tags: [] }, field)
    const rows = await collect(encodeCsv(stream([fieldPoints(key, data, size)]), POLICY))
    expect(parseCsv(rows.toString('latin1'))).toEqual(
      data.times.map((time, i) => {
        const value = data.values[i]
        const text = Object.is(value, -0) ? '-0' : String(value)
        return ['odd, "db"', 'r\np', measurement, '', field, data.type, time.toString(), text]
      }),
    )
  })

  it('gives chunks of bounded size', async () => {
    const values = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(1000))
    const times = values.map((_, i) => BigInt(i))
    const key = keyOf({ measurement: 'm', tags: [] }, 'f')
    const sizes: number[] = []
    const fields = stream([fieldPoints(key, { type: 'string', times, values })])
    for await (const chunk of encodeCsv(fields, POLICY)) sizes.push(chunk.length)
    expect(sizes.length).toBeGreaterThan(3)
    expect(Math.max(...sizes)).toBeLessThan(2 ** 18 + 2048)
  })
})
