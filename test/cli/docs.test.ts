import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DEFAULT_HINTS } from '../../src/cli/hints.ts'
import { EXIT_CODES } from '../../src/errors.ts'
import { ROOT } from '../helpers/sources.ts'
import { loadSchema, violations } from './json-schema.ts'

const page = await readFile(join(ROOT, 'docs/scripting.md'), 'utf8')

/** The blocks of code of the page in one language. */
function blocks(language: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm')
  return [...page.matchAll(fence)].map(([, text = '']) => text)
}

describe('docs/scripting.md', () => {
  it('has every exit code', () => {
    const rows = [...page.matchAll(/^\| (\d+) \| `(E_\w+)` \|/gm)]
    const table = Object.fromEntries(rows.map(([, exit, code = '']) => [code, Number(exit)]))
    expect(table).toEqual(EXIT_CODES)
    expect(page).toMatch(/^\| 0 \| \|/m)
  })

  it('shows JSON that is as the schemas say', () => {
    const shown = blocks('json').map((text): Record<string, unknown> => JSON.parse(text))
    expect(shown.map((document) => document['schema'])).toEqual(['snap/version/1', 'snap/error/1'])
    expect(violations('version.json', shown[0])).toEqual([])
    expect(violations('error.json', shown[1])).toEqual([])
    expect(shown[1]).toMatchObject({
      exitCode: EXIT_CODES.E_CONNECT,
      hint: DEFAULT_HINTS.E_CONNECT,
    })
  })
})

describe('docs/schemas', () => {
  it('know every error code', () => {
    const schema = JSON.stringify(loadSchema('error.json'))
    const [, list = ''] = /"code":\{"enum":(\[[^\]]*\])/.exec(schema) ?? []
    expect(JSON.parse(list)).toEqual(Object.keys(EXIT_CODES))
  })

  it('refuse what they do not describe', () => {
    const error = { code: 'E_CUT', exitCode: 14, message: 'm', hint: 'h' }
    const version = { schema: 'snap/version/1', ok: false, error }
    expect(violations('version.json', version)).toEqual([])
    expect(violations('version.json', { ...version, ok: true })).not.toEqual([])
    expect(violations('version.json', { ...version, error: { ...error, hint: 1 } })).not.toEqual([])
    expect(violations('error.json', { schema: 'snap/error/1', ...error, code: 'E_X' })).toEqual([
      expect.stringContaining('/code is none of'),
    ])
    expect(violations('error.json', error)).toEqual([' has no schema'])
    expect(violations('error.json', [])).not.toEqual([])
  })
})
