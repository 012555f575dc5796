import { expect, it } from 'vitest'
import { keepSeries, type SeriesSelection } from '../../src/operations/series-selection.ts'

const KEYS = [
  'cpu#!~#v',
  'cpu,host=a#!~#v',
  'cpu,host=a,zone=x#!~#v',
  'cpu,host=b,zone=x#!~#v',
  'my\\ cpu,host=a#!~#v',
  'm,the\\ host=a\\=b#!~#v',
]

const kept = (selection: SeriesSelection) => {
  const keep = keepSeries(selection)
  return KEYS.flatMap((key, index) => (keep?.(Buffer.from(key)) ? [index] : []))
}
const tag = (key: string, value: string) => ({ key, value })

it.each([
  [{ measurements: ['cpu'] }, [0, 1, 2, 3]],
  [{ measurements: ['my cpu', 'm'] }, [4, 5]],
  [{ measurements: ['cp'] }, []],
  [{ tags: [tag('host', 'a')] }, [1, 2, 4]],
  [{ tags: [tag('host', 'a'), tag('host', 'b')] }, [1, 2, 3, 4]],
  [{ tags: [tag('host', 'a'), tag('zone', 'x')] }, [2]],
  [{ tags: [tag('the host', 'a=b')] }, [5]],
  [{ measurements: ['cpu'], tags: [tag('host', 'b')] }, [3]],
] satisfies [SeriesSelection, number[]][])('%j keeps %j', (selection, expected) => {
  expect(kept(selection)).toEqual(expected)
})

it('is no filter if nothing is named', () => {
  expect(keepSeries({})).toBeUndefined()
  expect(keepSeries({ measurements: [], tags: [] })).toBeUndefined()
})
