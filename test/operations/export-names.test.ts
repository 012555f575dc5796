import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { exportFileName, freeName } from '../../src/operations/export-names.ts'

const part = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
  fc.string({ unit: fc.constantFrom(...'ab.~%/\\:\n A'), minLength: 1, maxLength: 5 }),
)
const parts = fc.array(part, { minLength: 1, maxLength: 3 })

describe('exportFileName', () => {
  it.each([
    [['telegraf', 'autogen'], 'telegraf.autogen.lp'],
    [['ünï_漢字-9', 'rp'], 'ünï_漢字-9.rp.lp'],
    [['a.b', '..', 'c d/e'], 'a%2Eb.%2E%2E.c%20d%2Fe.lp'],
    [['🎈', '\n'], '%F0%9F%8E%88.%0A.lp'],
  ])('writes %j as %s', (names, expected) => {
    expect(exportFileName(names, 'lp')).toBe(expected)
  })

  it('cuts long names, and keeps them apart', () => {
    const long = exportFileName(['x'.repeat(65), '漢'.repeat(65)], 'csv')
    expect(long).toMatch(/^x{55}~[0-9a-f]{8}\.漢{18}~[0-9a-f]{8}\.csv$/)
    expect(exportFileName(['x'.repeat(64)], 'csv')).toBe(`${'x'.repeat(64)}.csv`)
    expect(exportFileName([`${'x'.repeat(64)}y`], 'csv')).not.toBe(
      exportFileName([`${'x'.repeat(64)}z`], 'csv'),
    )
  })

  test.prop([parts, parts])(
    'gives different names to different lists, all of them safe',
    (a, b) => {
      const name = exportFileName(a, 'lp')
      expect(Buffer.byteLength(`${name}.gz.pending`)).toBeLessThan(256)
      expect(name).toMatch(/^[\p{L}\p{M}\p{N}_%~-][\p{L}\p{M}\p{N}_%~.-]*\.lp$/u)
      if (JSON.stringify(a) !== JSON.stringify(b)) expect(exportFileName(b, 'lp')).not.toBe(name)
    },
  )
})

describe('freeName', () => {
  it('numbers names that differ by the case of letters alone', () => {
    const taken = new Set<string>()
    const names = ['d.CPU.lp.gz', 'd.cpu.lp.gz', 'd.Cpu.lp.gz', 'd.mem.lp.gz']
    expect(names.map((name) => freeName(name, 'lp.gz', taken))).toEqual([
      'd.CPU.lp.gz',
      'd.cpu~2.lp.gz',
      'd.Cpu~3.lp.gz',
      'd.mem.lp.gz',
    ])
  })
})
