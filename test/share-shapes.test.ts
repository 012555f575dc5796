import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './helpers/sources.ts'

const { shareShapes }: { readonly shareShapes: (code: string) => string } = await import(
  join(ROOT, 'scripts/share-shapes.mjs')
)

describe('shareShapes', () => {
  it.each([
    ['x = { ...a, b }', 'x = { ...null, ...a, b }'],
    [
      'x = { ...a, ...(c && { ...b, c: "é😀" }) }',
      'x = { ...null, ...a, ...(c && { ...null, ...b, c: "é😀" }) }',
    ],
    [
      '/* é */ f({...a, f() { return {...b, c} }})',
      '/* é */ f({...null, ...a, f() { return {...null, ...b, c} }})',
    ],
  ])('puts nothing before a spread that others follow: %s', (code, expected) => {
    expect(shareShapes(code)).toBe(expected)
  })

  it.each(['x = { ...a }', 'x = { a, ...b }', 'x = [...a, b]', 'f(...a, b)', 'const { ...a } = b'])(
    'leaves the rest as it is: %s',
    (code) => {
      expect(shareShapes(code)).toBe(code)
    },
  )

  it('refuses what it cannot read', () => {
    expect(() => shareShapes('x = {')).toThrow()
  })
})
