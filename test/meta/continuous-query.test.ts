import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { quoteName, rewriteContinuousQuery } from '../../src/meta/index.ts'
import { tokenize } from '../../src/meta/influxql.ts'

const OWN = { database: 'telegraf', newDatabase: 'copy' }
const OTHER = { database: 'agg', newDatabase: 'agg_2' }
const rewrite = (text: string, own = OWN, others = [OTHER]) =>
  rewriteContinuousQuery(text, own, [own, ...others])

const body = (query: string, database = 'telegraf') =>
  `CREATE CONTINUOUS QUERY q ON ${database} BEGIN ${query} END`

describe('rewriteContinuousQuery', () => {
  it.each([
    [
      'SELECT mean(value) INTO telegraf.autogen.out FROM telegraf.autogen.cpu GROUP BY time(1h)',
      'SELECT mean(value) INTO "copy".autogen.out FROM "copy".autogen.cpu GROUP BY time(1h)',
    ],
    [
      `SELECT mean("telegraf") INTO "telegraf".."out" FROM "telegraf"."auto.gen"."telegraf" WHERE "from" = 'FROM telegraf.a.b'`,
      `SELECT mean("telegraf") INTO "copy".."out" FROM "copy"."auto.gen"."telegraf" WHERE "from" = 'FROM telegraf.a.b'`,
    ],
    ['SELECT max(v) INTO out FROM rp.cpu', 'SELECT max(v) INTO out FROM rp.cpu'],
    [
      'SELECT max(v) INTO agg.long.:MEASUREMENT FROM telegraf.autogen./^c.p\\/u$/, mem GROUP BY *',
      'SELECT max(v) INTO "agg_2".long.:MEASUREMENT FROM "copy".autogen./^c.p\\/u$/, mem GROUP BY *',
    ],
    [
      'SELECT max(m) INTO o FROM (SELECT mean(a) / mean(b) AS m FROM telegraf..x, (SELECT b FROM agg..y)), agg..z GROUP BY /re FROM telegraf..n/',
      'SELECT max(m) INTO o FROM (SELECT mean(a) / mean(b) AS m FROM "copy"..x, (SELECT b FROM "agg_2"..y)), "agg_2"..z GROUP BY /re FROM telegraf..n/',
    ],
    [
      'select mean(v) into telegraf . r . o from /* from a..b */ telegraf..m where t =~ /a b/ and x > 1.5 -- the end',
      'select mean(v) into "copy" . r . o from /* from a..b */ "copy"..m where t =~ /a b/ and x > 1.5 -- the end',
    ],
  ])('%s', (before, after) => {
    const { statement, doubt } = rewrite(body(before.replace(/-- the end$/, '-- the end\n')))
    expect(doubt).toBeUndefined()
    expect(statement).toBe(body(after.replace(/-- the end$/, '-- the end\n'), '"copy"'))
  })

  it('leaves what keeps its name as it is, to the letter', () => {
    const same = { database: 'telegraf', newDatabase: 'telegraf' }
    const text = body('SELECT mean(v)  INTO other..o FROM telegraf.r.m')
    expect(rewrite(text, same)).toEqual({ statement: text, doubt: undefined })
  })

  it('renames the one policy that is restored', () => {
    const own = { ...OWN, retentionPolicy: 'raw', newRetentionPolicy: 'long "x"' }
    const { statement, doubt } = rewrite(body('SELECT max(v) INTO raw.o FROM telegraf.raw.m'), own)
    expect(statement).toContain('INTO "long \\"x\\"".o FROM "copy"."long \\"x\\"".m')
    expect(doubt).toBeUndefined()
    const other = rewrite(body('SELECT max(v) INTO year.o FROM raw.m'), own)
    expect(other.doubt).toBe('it names policy year of telegraf, which is not restored')
  })

  it('doubts a copy that would work on the database of somebody else', () => {
    const { doubt } = rewrite(body('SELECT max(v) INTO third..o FROM m'))
    expect(doubt).toBe('it names database third, which is not restored with telegraf')
  })

  it.each([
    ['SELECT 1', 'expected CREATE'],
    [body('SELECT max(v) INTO a.b.c.d FROM m'), 'a name has too many parts'],
    [body('SELECT max(v) INTO telegraf.. FROM m'), 'expected a name, got "FROM"'],
    [body('SELECT max(v) INTO 1h FROM m'), 'expected a name, got "1h"'],
    [body('SELECT max(v) INTO o FROM (SELECT x FROM m'), 'a parenthesis is not closed'],
    ['CREATE CONTINUOUS QUERY q ON', 'it ends too early'],
    ['CREATE CONTINUOUS QUERY q ON other BEGIN', 'it is not of database telegraf'],
    ['CREATE CONTINUOUS QUERY 1 ON telegraf', 'expected a name'],
  ])('says of %s that it is not understood', (text, why) => {
    const { statement, doubt } = rewrite(text)
    expect(statement).toBe(text)
    expect(doubt).toBe(`the statement is not understood: ${why}`)
  })

  it('stops at what is no InfluxQL', () => {
    expect(rewrite(body('SELECT max(ü)')).doubt).toMatch(/^not understood at character 56: "ü\)/)
    expect(rewrite('x'.repeat(1024 * 1024 + 1)).doubt).toMatch(/^statement of 1048577 char/)
  })

  it('finds any name again, however it is quoted', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => !text.includes('\r'))
    fc.assert(
      fc.property(name, name, name, (database, newDatabase, measurement) => {
        const [db, to, m] = [database, newDatabase, measurement].map(quoteName)
        const text = (at = db) =>
          `CREATE CONTINUOUS QUERY q ON ${at} BEGIN SELECT x INTO ${at}..o FROM ${at}.r.${m} END`
        const names = { database, newDatabase }
        const same = database === newDatabase
        expect(rewriteContinuousQuery(text(), names, [names])).toEqual({
          statement: same ? text() : text(to),
          doubt: undefined,
        })
      }),
    )
  })
})

it('quotes names for InfluxQL', () => {
  expect(quoteName('a "b" \\ c\nd')).toBe('"a \\"b\\" \\\\ c\\nd"')
})

describe('tokenize', () => {
  it('loses nothing, or refuses', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          expect(
            tokenize(text)
              .map((token) => token.text)
              .join(''),
          ).toBe(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_FORMAT' })
        }
      }),
    )
  })
})
