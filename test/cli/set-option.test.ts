import { describe, expect, it } from 'vitest'
import { setSetting } from '../../src/cli/set-option.ts'
import { errorOf, readWith } from './harness.ts'

const SET = setSetting({ description: 'a set' })

async function read(...argv: string[]) {
  return await readWith(argv, { declare: SET.addTo, read: SET.read })
}

describe('--set', () => {
  it.each([
    [[], undefined],
    [['--set', 'latest'], undefined],
    [['--set', '20260131T000000Z'], '20260131T000000Z'],
    [['--set', '2026-01-31T01:30:00+01:30'], new Date('2026-01-31T00:00:00Z')],
  ])('%j is read', async (argv, expected) => {
    expect((await read(...argv)).value).toEqual(expected)
  })

  it('takes nothing else', async () => {
    const { context } = await read('--json', '--set', 'newest')
    expect(errorOf(context)['code']).toBe('E_USAGE')
  })
})
