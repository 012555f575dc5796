import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseCsv } from './csv.ts'
import { dumpAll } from './dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from './influxd.ts'
import { loadOddData, oddData, PLAIN, SPACED } from './odd-data.ts'
import { tempDir } from './temp.ts'

it('reads CSV with quotes, newlines and blank lines', () => {
  const text = 'a,b\n"x,\n""y""",\n\nc\n'
  expect(parseCsv(text)).toEqual([['a', 'b'], ['x,\n"y"', ''], ['c']])
})

describeWithInfluxd('the odd data', () => {
  let server: Influxd
  let dump: string[]

  beforeAll(async () => {
    server = await startInfluxd()
    await loadOddData(server)
    dump = await dumpAll(server)
  })
  afterAll(async () => {
    await server?.dispose()
  })

  it('is all there when it is dumped, with its types and values', () => {
    const points = dump.map((line) => JSON.parse(line)).filter((cells) => cells.length > 2)
    const found = points.map(([db, rp, measurement, , field, type, time, value]) => {
      const read = type === 'float' ? Number(value) : value
      return [db, rp, measurement, field, type, time, Object.is(read, -0) ? '-0' : `${read}`].join(
        '|',
      )
    })
    expect(found.sort()).toEqual([...expected()].sort())
    expect(points.filter((cells) => cells.length !== 8)).toEqual([])
    const count = (db: string) => points.filter(([name]) => name === db).length
    expect(count(SPACED)).toBeGreaterThan(100)
    expect(count(PLAIN)).toBeGreaterThan(10_000)
  })

  it('keeps every digit, sign and character', () => {
    const types = (type: string, value: string) =>
      dump.some((line) => {
        const cells = JSON.parse(line)
        return cells[4] === type && cells[5] === type && cells[7] === value
      })
    expect(dump.filter((line) => line.includes('9223372036854775807')).length).toBeGreaterThan(0)
    expect(types('integer', '-9223372036854775808')).toBe(true)
    expect(types('float', '-0')).toBe(true)
    expect(types('string', 'back\\slash\\')).toBe(true)
    expect(types('string', 'two\nlines')).toBe(true)
    expect(types('string', '')).toBe(true)
    expect(types('boolean', 'false')).toBe(true)
  })

  it('lies in many shards and is the same after a restart', async () => {
    expect((await server.shards()).length).toBeGreaterThan(14)
    await server.restart()
    expect(await dumpAll(server)).toEqual(dump)
  })

  it('comes out the same of a tsi1 index, restored by the stock commands', async () => {
    const dir = await tempDir('stock')
    const target = await startInfluxd({ indexVersion: 'tsi1' })
    expect(await stockBackup(['-portable', '-host', server.host, dir])).toMatchObject({ code: 0 })
    expect(await stockRestore(['-portable', '-host', target.host, dir])).toMatchObject({ code: 0 })
    await target.settled()
    expect(await dumpAll(target)).toEqual(dump)
    await target.dispose()
  })

  it('can be shown under other names', async () => {
    const some = await dumpAll(server, { db: PLAIN, rp: 'daily', dbAs: 'x', rpAs: 'y' })
    expect(some.length).toBeGreaterThan(100)
    const expected = dump.filter((line) => line.startsWith('["plain","daily"'))
    const renamed = expected.map((line) => line.replace('["plain","daily"', '["x","y"')).sort()
    expect(some).toEqual(renamed)
  })
})

/** What the points of the odd data come to: the last one written wins. */
function expected(): Iterable<string> {
  const cells = new Map<string, string>()
  for (const { database, name, batches } of oddData()) {
    for (const { measurement, tags, fields, time } of batches.flat()) {
      for (const [field, value] of Object.entries(fields)) {
        const type = TYPES[typeof value]
        const shown = Object.is(value, -0) ? '-0' : `${value}`
        const line = [database, name, measurement, field, type, time, shown].join('|')
        cells.set(JSON.stringify([line.slice(0, line.length - shown.length), tags]), line)
      }
    }
  }
  return cells.values()
}

const TYPES: Readonly<Record<string, string>> = {
  number: 'float',
  bigint: 'integer',
  boolean: 'boolean',
  string: 'string',
}
