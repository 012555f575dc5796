import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import * as library from '../src/index.ts'
import { apiPage, surfaceText } from './helpers/api-page.ts'
import { hiddenNames, type PublicName, readPublicApi } from './helpers/public-api.ts'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const PAGE = join(ROOT, 'docs/api.md')
const BEGIN = '<!-- made from the docstrings by test/api.test.ts -->\n'
const SURFACE = join(ROOT, 'test/fixtures/public-surface.txt')

/** Types that a caller gets from the library and gives back to it, and looks into no further. */
const OPAQUE = [
  'DataDirectory: MetaFile',
  'DataDirectory: ShardStore',
  'Door: Visitor',
  'Door: EnterOptions',
]

let declarations: string
let api: readonly PublicName[]

beforeAll(async () => {
  declarations = await tempDir('declarations')
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const args = ['-p', join(ROOT, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir']
  const { code, stdout } = await run(tsc, [...args, declarations])
  expect(code, stdout).toBe(0)
  api = readPublicApi(declarations)
})

/** Expects a file to have this text; `UPDATE=1` writes it. */
async function expectFile(path: string, text: string): Promise<void> {
  if (process.env['UPDATE'] === '1') await writeFile(path, text)
  expect(await readFile(path, 'utf8')).toBe(text)
}

describe('the public surface of the library', () => {
  it('changes on purpose alone: a version goes with it (UPDATE=1 writes it anew)', async () => {
    await expectFile(SURFACE, surfaceText(api))
  })

  it('has every value that the module exports', () => {
    const values = api.filter(({ kind }) => ['class', 'const', 'function'].includes(kind))
    const names = new Set(values.map(({ name }) => name))
    expect(Object.keys(library).filter((name) => !names.has(name))).toEqual([])
  })

  it('has every type of ours that its declarations need', () => {
    expect(hiddenNames(declarations, api).sort()).toEqual([...OPAQUE].sort())
  })

  it('says what each of its names is', () => {
    const silent = api.filter(({ doc }) => doc.replace(/@generated.*/, '').trim() === '')
    expect(silent.map(({ name }) => name)).toEqual([])
  })
})

describe('docs/api.md', () => {
  it('is what the docstrings say (UPDATE=1 writes it anew)', async () => {
    const [before = ''] = (await readFile(PAGE, 'utf8')).split(BEGIN)
    await expectFile(PAGE, `${before}${BEGIN}\n${apiPage(api)}`)
  })
})
