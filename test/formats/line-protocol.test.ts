import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { encodeLineProtocol, type LeftOut } from '../../src/formats/line-protocol.ts'
import { formatImportContext, formatImportHeader } from '../../src/formats/line-protocol-header.ts'
import type { FieldPoints } from '../../src/formats/points.ts'
import { parseCompositeKey } from '../../src/tsm/series-key.ts'
import { anyPoints, collect, fieldPoints, keyOf, type Points, stream, TYPES } from './blocks.ts'
import { parseLines } from './line-protocol-parser.ts'

const CPU = keyOf({ measurement: 'cpu', tags: [['host', 'a']] }, 'usage')

async function lines(...fields: FieldPoints[]): Promise<string> {
  return (await collect(encodeLineProtocol(stream(fields)))).toString('latin1')
}

function points(type: Points['type'], ...values: Points['values']): Points {
  return { type, values, times: values.map((_, i) => BigInt(i)) }
}

describe('encodeLineProtocol', () => {
  it.each([
    ['float', [1, 0.1, -0, 1e21, 5e-324], ['1', '0.1', '-0', '1e+21', '5e-324']],
    ['integer', [1n, -(2n ** 63n)], ['1i', '-9223372036854775808i']],
    ['unsigned', [1n, 2n ** 64n - 1n], ['1u', '18446744073709551615u']],
    ['boolean', [true, false], ['true', 'false']],
    ['string', ['', 'a"b\\c', 'x\ny'], ['""', '"a\\"b\\\\c"', '"x\ny"']],
  ] as const)('writes %s values', async (type, values, texts) => {
    const expected = texts.map((text, i) => `cpu,host=a usage=${text} ${i}\n`).join('')
    expect(await lines(fieldPoints(CPU, points(type, ...values)))).toBe(expected)
  })

  it('escapes names as influxd does', async () => {
    const key = keyOf({ measurement: 'two words', tags: [['a=b', 'c,d']] }, 'e f"g')
    expect(await lines(fieldPoints(key, points('float', 1)))).toBe(
      'two\\ words,a\\=b=c\\,d e\\ f\\"g=1 0\n',
    )
  })

  test.prop([
    fc
      .constantFrom(...TYPES)
      .chain((type) => fc.tuple(anyPoints(type), fc.integer({ min: 1, max: 9 }))),
  ])('writes what a parser reads back', async ([data, size]) => {
    const read = parseLines(await lines(fieldPoints(CPU, data, size)))
    expect(read).toEqual(
      data.times.map((time, i) => ({
        seriesKey: 'cpu,host=a',
        field: 'usage',
        type: data.type,
        value: data.values[i],
        time,
      })),
    )
  })

  const nasty = fc.array(fc.constantFrom(...'a\\,= "#\n\té'), { minLength: 1, maxLength: 5 })
  const name = nasty.map((parts) => parts.join(''))
  test.prop([name, fc.dictionary(name, name, { maxKeys: 2 }), name], { numRuns: 1000 })(
    'reads back under the same names, or is left out and said',
    async (measurement, tags, field) => {
      const key = keyOf({ measurement, tags: Object.entries(tags) }, field)
      const next = fieldPoints(CPU, points('string', '"\n'))
      const left: LeftOut[] = []
      const fields = stream([fieldPoints(key, points('string', 'x"\n#y')), next])
      const bytes = await collect(encodeLineProtocol(fields, { onLeftOut: (l) => left.push(l) }))
      const [first, ...rest] = parseLines(bytes.toString('latin1'))
      if (left.length > 0) {
        expect(left).toEqual([{ key, reason: expect.any(String), points: undefined }])
        expect(rest).toEqual([])
        // Only what line protocol has no way to say.
        expect(/[\\\n\t]|^#/.test(`${measurement}${Object.entries(tags)}${field}`)).toBe(true)
      } else {
        const { seriesKey } = parseCompositeKey(key)
        expect(first).toMatchObject({
          seriesKey: Buffer.from(seriesKey).toString('latin1'),
          field,
          value: 'x"\n#y',
        })
        expect(rest).toHaveLength(1)
      }
    },
  )

  it.each([
    ['#comment', {}, 'f', 'comment'],
    ['m', {}, 'back\\', 'field name'],
    ['m', {}, '', 'field name'],
    ['m', {}, '\tf', 'field name'],
    ['m\\', {}, 'f', 'series key'],
    ['m', { t: 'v\\' }, 'f', 'series key'],
    ['m\nn', {}, 'f', 'line feed'],
    ['\tm', {}, 'f', 'begin with a space'],
    ['', {}, 'f', 'no name'],
  ])('leaves out %j %j %j', async (measurement, tags, field, reason) => {
    const key = keyOf({ measurement, tags: Object.entries(tags) }, field)
    const left: LeftOut[] = []
    const fields = stream([fieldPoints(key, points('float', 1))])
    const bytes = await collect(encodeLineProtocol(fields, { onLeftOut: (l) => left.push(l) }))
    expect(bytes).toHaveLength(0)
    expect(left).toEqual([{ key, reason: expect.stringContaining(reason), points: undefined }])
    expect(await lines(fieldPoints(key, points('float', 1)))).toBe('')
  })

  it('leaves out floats that have no text, and counts them', async () => {
    const left: LeftOut[] = []
    const values = [1, Number.NaN, Number.POSITIVE_INFINITY, 2]
    const fields = stream([fieldPoints(CPU, points('float', ...values), 2)])
    const bytes = await collect(encodeLineProtocol(fields, { onLeftOut: (l) => left.push(l) }))
    expect(bytes.toString()).toBe('cpu,host=a usage=1 0\ncpu,host=a usage=2 3\n')
    expect(left).toEqual([{ key: CPU, reason: 'NaN or infinite', points: 2 }])
  })

  it('gives chunks of bounded size, from one block too', async () => {
    const texts = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(1000))
    const fields = stream([fieldPoints(CPU, points('string', ...texts))])
    const sizes: number[] = []
    for await (const chunk of encodeLineProtocol(fields)) sizes.push(chunk.length)
    expect(sizes.length).toBeGreaterThan(3)
    expect(Math.max(...sizes)).toBeLessThan(2 ** 18 + 2048)
  })

  it('closes the blocks when the consumer stops', async () => {
    let closed = false
    async function* fields() {
      try {
        yield fieldPoints(CPU, points('string', 'x'.repeat(300_000)))
        yield fieldPoints(CPU, points('float', 1))
      } finally {
        closed = true
      }
    }
    for await (const _ of encodeLineProtocol(fields())) break
    expect(closed).toBe(true)
  })

  it('refuses a key that is not one', async () => {
    const field = fieldPoints(Buffer.from('cpu'), points('float', 1))
    await expect(lines(field)).rejects.toThrow(expect.objectContaining({ code: 'E_FORMAT' }))
  })
})

describe('the head of an import file', () => {
  it('makes every policy, none with a duration', () => {
    const header = formatImportHeader([
      { database: 'a "db"', retentionPolicy: 'autogen' },
      { database: 'a "db"', retentionPolicy: 'r\\p' },
      { database: 'b', retentionPolicy: 'x y' },
    ])
    expect(header).toBe(
      [
        '# DDL',
        'CREATE DATABASE "a \\"db\\"" WITH NAME "autogen"',
        'CREATE RETENTION POLICY "r\\\\p" ON "a \\"db\\"" DURATION INF REPLICATION 1',
        'CREATE DATABASE "b" WITH NAME "x y"',
        '# DML',
        '',
      ].join('\n'),
    )
  })

  it('says where lines belong', () => {
    expect(formatImportContext({ database: 'a b', retentionPolicy: 'rp' })).toBe(
      '# CONTEXT-DATABASE:a b\n# CONTEXT-RETENTION-POLICY:rp\n',
    )
  })
})
