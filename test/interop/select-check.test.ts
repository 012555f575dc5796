import { afterAll, beforeAll, expect, it } from 'vitest'
import { HttpClient } from '../../src/client/index.ts'
import { SelectCheck } from '../../src/operations/select-check.ts'
import type { FieldType } from '../../src/tsm/values.ts'
import { blockOf, type Value } from '../formats/blocks.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'

/** The first nanosecond of a week of shards. */
const START = 1_700_092_800_000_000_000n

/** What a server returns is asked for in one shard, where all that is written here is. */
describeWithInfluxd('what queries return', () => {
  let server: Influxd
  let queries = 0

  beforeAll(async () => {
    server = await startInfluxd()
    await server.query('CREATE DATABASE d')
    await server.query('CREATE DATABASE many')
  })
  afterAll(async () => {
    await server?.dispose()
  })

  const write = (lines: readonly string[], db = 'd') =>
    server.write(
      lines.map((line) => line.replace(/(\d+)$/, (at) => `${START + BigInt(at)}`)),
      { db },
    )

  interface Expected {
    /** Series and field. */
    readonly key: string | Uint8Array
    readonly type: FieldType
    /** Values by nanoseconds after the start. */
    readonly rows: readonly (readonly [number, Value])[]
  }

  async function wrongOf(expected: readonly Expected[], { db = 'd', tagKeys = {} } = {}) {
    const http = new HttpClient({ url: server.httpUrl })
    const counted = Object.assign(Object.create(http), {
      queryRows: (...args: Parameters<typeof http.queryRows>) => {
        queries++
        return http.queryRows(...args)
      },
    })
    queries = 0
    const check = new SelectCheck({
      ...{ http: counted, shard: { database: db, retentionPolicy: 'autogen' }, start: START },
      tagKeys: new Map(
        Object.entries<string[]>(tagKeys).map(([name, keys]) => [name, new Set(keys)]),
      ),
      signal: new AbortController().signal,
    })
    for (const { key, type, rows } of expected) {
      const times = rows.map(([at]) => START + BigInt(at))
      const values = rows.map(([, value]) => value)
      await check.add(Buffer.from(key), blockOf({ type, times, values }))
    }
    await check.finish()
    return check.wrong
  }

  it.each<[FieldType, string, readonly string[], readonly Value[], Value]>([
    ['float', 'f', ['1.5', '-2', '1e300'], [1.5, -2, 1e300], 1.25],
    ['integer', 'i', ['7i', '-9i', '9223372036854775807i'], [7n, -9n, 2n ** 63n - 1n], 8n],
    ['unsigned', 'u', ['7i', '9i', '0i'], [7n, 9n, 0n], 8n],
    ['boolean', 'b', ['true', 'false', 'true'], [true, false, true], false],
    ['string', 's', ['"a"', '"b \\"c\\""', '""'], ['a', 'b "c"', ''], 'A'],
  ])('is compared in points of %s', async (type, name, texts, values, other) => {
    const key = `${name},host=a#!~#value`
    await write(texts.map((text, at) => `${name},host=a value=${text} ${at}`))
    const rows = values.map((value, at) => [at, value] as const)
    expect(await wrongOf([{ key, type, rows }])).toBeUndefined()
    const [first] = rows
    const changed = [[0, other] as const, ...rows.slice(1)]
    const said = typeof other === 'string' ? JSON.stringify(other) : String(other)
    expect(await wrongOf([{ key, type, rows: changed }])).toEqual({
      points: 1,
      first: expect.stringMatching(
        new RegExp(`^${name},host=a value at ${START}: expected ${said}, got .+$`),
      ),
    })
    const more = [...rows, [50, first?.[1] ?? 0] as const, [51, first?.[1] ?? 0] as const]
    expect(await wrongOf([{ key, type, rows: more }])).toEqual({
      points: 2,
      first: expect.stringMatching(/got none$/),
    })
    // What the server has besides is none of its business.
    expect(await wrongOf([{ key, type, rows: rows.slice(1, 2) }])).toBeUndefined()
    expect(await wrongOf([{ key, type, rows: [] }])).toBeUndefined()
  })

  it('is nothing for numbers that no server takes, and for names that no query can say', async () => {
    await write(['odd value=1 0'])
    const rows = [
      [0, 1],
      [1, Number.NaN],
      [2, Number.POSITIVE_INFINITY],
    ] as const
    expect(await wrongOf([{ key: 'odd#!~#value', type: 'float', rows }])).toBeUndefined()
    const key = Buffer.from([0x6f, 0xff, ...Buffer.from('#!~#value')])
    expect(await wrongOf([{ key, type: 'float', rows }])).toBeUndefined()
    expect(queries).toBe(0)
  })

  it('is of the series alone that is asked for, whatever its names', async () => {
    const tags = { 'we\'ird "m"': ['host', 'rack', 'or'] }
    await write(
      [
        `we'ird\\ "m",host=a "va\\ lue"=1 0`,
        `we'ird\\ "m",host=a,rack=r "va\\ lue"=2 0`,
        `we'ird\\ "m",or=it's\\ "q" "va\\ lue"=3 0`,
        `we'ird\\ "m" "va\\ lue"=4 0`,
      ].map((line) => line.replaceAll('"va\\ lue"', 'va\\ lue')),
    )
    const keyOf = (series: string) => `we'ird\\ "m"${series}#!~#va lue`
    const ask = (series: string, value: number) =>
      wrongOf([{ key: keyOf(series), type: 'float', rows: [[0, value]] }], { tagKeys: tags })
    for (const [series, value] of [
      [',host=a', 1],
      [',host=a,rack=r', 2],
      [`,or=it's\\ "q"`, 3],
      ['', 4],
    ] as const) {
      expect(await ask(series, value), series).toBeUndefined()
      expect(await ask(series, value + 10), series).toMatchObject({ points: 1 })
    }
  })

  it('is asked for in pieces, of a series and of many', async () => {
    const long = Array.from({ length: 60_000 }, (_, at) => [at * 10, at] as const)
    await write(
      long.map(([at, value]) => `long value=${value} ${at}`),
      'many',
    )
    const blocks = [long.slice(0, 1000), long.slice(1000)].map((rows) => ({
      ...{ key: 'long#!~#value', type: 'float' as const, rows },
    }))
    expect(await wrongOf(blocks, { db: 'many' })).toBeUndefined()
    expect(queries).toBe(2)
    const wrong = long.map(([at, value]) => [at, at % 300_000 === 0 ? -1 : value] as const)
    const [one] = blocks
    if (one === undefined) throw new Error('no blocks')
    expect(await wrongOf([{ ...one, rows: wrong }], { db: 'many' })).toMatchObject({ points: 2 })
    const series = Array.from({ length: 1100 }, (_, i) => `wide,n=${String(i).padStart(4, '0')}`)
    await write(
      series.map((each, i) => `${each} value=${i} 5`),
      'many',
    )
    const wide = series.map((each, i) => ({
      ...{ key: `${each}#!~#value`, type: 'float' as const },
      rows: [[5, i === 700 ? -1 : i]] as const,
    }))
    expect(await wrongOf(wide, { db: 'many' })).toMatchObject({
      points: 1,
      first: expect.stringContaining('wide,n=0700 value'),
    })
    expect(queries).toBe(3)
  })

  it('is asked for with long strings in smaller pieces', async () => {
    const text = 'x'.repeat(60_000)
    const rows = Array.from({ length: 80 }, (_, at) => [at, `${at} ${text}`] as const)
    await write(
      rows.map(([at, value]) => `text value="${value}" ${at}`),
      'many',
    )
    const asked = { key: 'text#!~#value', type: 'string' as const, rows }
    expect(await wrongOf([asked], { db: 'many' })).toBeUndefined()
    expect(queries).toBeGreaterThan(1)
    const changed = [...rows.slice(0, 79), [79, 'other'] as const]
    expect(await wrongOf([{ ...asked, rows: changed }], { db: 'many' })).toMatchObject({
      points: 1,
    })
  })
})
