import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import {
  formatCompositeKey,
  formatSeriesKey,
  parseCompositeKey,
  parseSeriesKey,
} from '../../src/tsm/series-key.ts'
import { runs } from './arbitraries.ts'
import { closeAll, openFixture } from './fixtures.ts'

// odd characters often; a backslash at the end of a name cannot be written
const name = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(',', ' ', '=', '\\', '"', '#!~#', 'a', 'ü', '☃', '\n'),
      fc.string({ maxLength: 2 }),
    ),
    minLength: 1,
    maxLength: 8,
  })
  .filter((text) => text !== '' && !text.endsWith('\\'))
  .map((text) => Buffer.from(text))

const tags = fc
  .uniqueArray(fc.record({ key: name, value: name }), {
    selector: ({ key }) => key.toString('latin1'),
    maxLength: 5,
  })
  .map((list) => list.sort((a, b) => Buffer.compare(a.key, b.key)))

const shown = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

// an escaped measurement that begins with a comma begins with a backslash
test.prop({ measurement: name, tags }, runs(500))(
  'gives back any names',
  ({ measurement, tags }) => {
    const parsed = parseSeriesKey(formatSeriesKey({ measurement, tags }))
    expect(shown(parsed.measurement)).toBe(shown(measurement))
    expect(parsed.tags.map(({ key, value }) => [shown(key), shown(value)])).toEqual(
      tags.map(({ key, value }) => [shown(key), shown(value)]),
    )
  },
)

test.prop({ seriesKey: name, field: name }, runs(500))(
  'gives back both parts of a key',
  ({ seriesKey, field }) => {
    // a separator in the series would be taken for the one before the field
    fc.pre(Buffer.concat([seriesKey, Buffer.from('#!~')]).indexOf('#!~#') < 0)
    const parsed = parseCompositeKey(formatCompositeKey({ seriesKey, field }))
    expect([shown(parsed.seriesKey), shown(parsed.field)]).toEqual([shown(seriesKey), shown(field)])
  },
)

describe('parses as influxd does', () => {
  it.each([
    ['cpu', 'cpu', []],
    [
      'cpu,host=a,region=b',
      'cpu',
      [
        ['host', 'a'],
        ['region', 'b'],
      ],
    ],
    ['c\\,p\\ u=x,k\\=ey=v\\,al\\ ue', 'c,p u=x', [['k=ey', 'v,al ue']]],
    ['back\\slash,k\\ey=v\\alue', 'back\\slash', [['k\\ey', 'v\\alue']]],
    ['m,k=a=b', 'm', [['k', 'a=b']]],
    ['m,empty=,k=v', 'm', [['k', 'v']]],
    ['m,novalue', 'm', []],
    ['m,a=1,', 'm', [['a', '1']]],
    ['m rest,k=v', 'm', []],
    ['', '', []],
    [',k=v', '', []],
  ])('%s', (key, measurement, tags) => {
    const parsed = parseSeriesKey(Buffer.from(key))
    expect(Buffer.from(parsed.measurement).toString()).toBe(measurement)
    expect(parsed.tags.map(({ key, value }) => [`${key}`, `${value}`])).toEqual(tags)
  })

  it('splits at the first separator', () => {
    const { seriesKey, field } = parseCompositeKey(Buffer.from('m,k=v#!~#a#!~#b'))
    expect([`${seriesKey}`, `${field}`]).toEqual(['m,k=v', 'a#!~#b'])
    expect(() => parseCompositeKey(Buffer.from('m,k=v'))).toThrow('no #!~#')
  })

  it('sorts tags and leaves out those without a value', () => {
    const tag = (key: string, value: string) => ({
      key: Buffer.from(key),
      value: Buffer.from(value),
    })
    const series = {
      measurement: Buffer.from('m'),
      tags: [tag('z', '1'), tag('b', ''), tag('a', '2')],
    }
    expect(`${formatSeriesKey(series)}`).toBe('m,a=2,z=1')
  })
})

it('gives back every key of a real influxd', async () => {
  const sources = await openFixture('names')
  let count = 0
  for (const { file } of sources) {
    for await (const { key } of file.keys()) {
      const { seriesKey, field } = parseCompositeKey(key)
      const again = formatSeriesKey(parseSeriesKey(seriesKey))
      expect(shown(formatCompositeKey({ seriesKey: again, field }))).toBe(shown(key))
      count++
    }
  }
  await closeAll(sources)
  expect(count).toBeGreaterThan(400)
})
