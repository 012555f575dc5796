import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { layLines } from '../../src/tsm/kernels/lines.ts'
import { type Block, stringColumn } from '../../src/tsm/values.ts'

const PREFIX = Buffer.from('m,host=a f=')
const ROOM = 2 ** 20
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const decimal = fc
  .tuple(fc.maxSafeInteger(), fc.integer({ min: 1, max: 17 }), fc.integer({ min: -8, max: 20 }))
  .map(([digits, precision, places]) =>
    Number(`${Number(digits.toPrecision(precision))}e${-places}`),
  )
const float = fc.oneof(decimal, fc.double(), fc.integer(), fc.constantFrom(-0, 1e15, -1e15, 1e-6))

/** The lines of a block, with what each value is written as; `undefined` stands for a line that is left to others. */
function linesOf(block: Block, from = 0): (string | undefined)[] {
  const lines: (string | undefined)[] = []
  for (let at = from; at < block.times.length; ) {
    const laid = layLines(PREFIX, block, at)
    while (at < laid.end) {
      const written = laid.write(at, ROOM)
      const text = Buffer.from(written.text).toString()
      lines.push(...text.split('\n').slice(0, -1))
      expect(lines).toHaveLength(written.at - from)
      at = written.at
      if (at === laid.end || written.text.length > 64 * 1024) continue
      lines.push(undefined)
      at += 1
    }
  }
  return lines
}

const expected = (times: BigInt64Array, texts: readonly string[]) =>
  texts.map((text, i) => `${PREFIX}${text} ${times[i]}`)

/** Floats that the kernel need not know. */
function isHard(value: number): boolean {
  const text = String(value)
  const digits = text.replaceAll(/[-.]/g, '').replace(/^0+/, '')
  return !Number.isFinite(value) || text.includes('e') || digits.length > 14 || value ** 2 < 1e-8
}

describe('lines', () => {
  test.prop([fc.array(fc.tuple(int64, float), { minLength: 1, maxLength: 40 })])(
    'write floats as JavaScript does, and leave none to others that is short',
    (points) => {
      const times = BigInt64Array.from(points, ([time]) => time)
      const values = Float64Array.from(points, ([, value]) => value)
      const lines = linesOf({ type: 'float', times, values })
      const texts = Array.from(values, (value) => (Object.is(value, -0) ? '-0' : String(value)))
      expected(times, texts).forEach((line, i) => {
        const value = values[i] ?? 0
        if (lines[i] === undefined) expect(isHard(value), String(value)).toBe(true)
        else expect(lines[i]).toBe(line)
      })
    },
  )

  test.prop([fc.array(fc.tuple(int64, int64, uint64, fc.boolean()), { minLength: 1 })])(
    'write integers, unsigned integers and booleans',
    (points) => {
      const times = BigInt64Array.from(points, ([time]) => time)
      const integers = BigInt64Array.from(points, ([, value]) => value)
      const unsigned = BigUint64Array.from(points, ([, , value]) => value)
      const booleans = Uint8Array.from(points, ([, , , value]) => Number(value))
      expect(linesOf({ type: 'integer', times, values: integers })).toEqual(
        expected(
          times,
          Array.from(integers, (value) => `${value}i`),
        ),
      )
      expect(linesOf({ type: 'unsigned', times, values: unsigned })).toEqual(
        expected(
          times,
          Array.from(unsigned, (value) => `${value}u`),
        ),
      )
      expect(linesOf({ type: 'boolean', times, values: booleans })).toEqual(
        expected(
          times,
          Array.from(booleans, (value) => (value === 0 ? 'false' : 'true')),
        ),
      )
    },
  )

  test.prop([fc.array(fc.tuple(int64, fc.string()), { minLength: 2 }), fc.nat()])(
    'write strings from anywhere in a block',
    (points, nat) => {
      const from = nat % points.length
      const times = BigInt64Array.from(points, ([time]) => time)
      const texts = points.map(([, text]) => text.replaceAll('\n', ' '))
      const values = stringColumn(texts.map((text) => Buffer.from(text)))
      const quoted = texts.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`)
      expect(linesOf({ type: 'string', times, values }, from)).toEqual(
        expected(times, quoted).slice(from),
      )
    },
  )

  it('writes on where there was no room, and past the values that are laid out at a time', () => {
    const count = 5000
    const times = BigInt64Array.from({ length: count }, (_, i) => BigInt(i))
    const texts = Array.from({ length: count }, (_, i) => `${i} `.repeat(20))
    const values = stringColumn(texts.map((text) => Buffer.from(text)))
    expect(linesOf({ type: 'string', times, values })).toEqual(
      expected(
        times,
        texts.map((text) => `"${text}"`),
      ),
    )
  })

  it('leaves what is very long to others', () => {
    const times = BigInt64Array.of(1n)
    const values = stringColumn([Buffer.alloc(70_000, 'x')])
    const text = layLines(PREFIX, { type: 'string', times, values }, 0).write(0, ROOM)
    expect(text).toEqual({ at: 0, text: new Uint8Array() })
    const long = layLines(
      Buffer.alloc(20_000),
      { type: 'boolean', times, values: Uint8Array.of(1) },
      0,
    )
    expect(long.write(0, ROOM)).toEqual({ at: 0, text: new Uint8Array() })
  })
})
