import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildProgram } from '../src/cli/program.ts'
import { EXIT_CODES } from '../src/errors.ts'
import { contextOf } from './cli/harness.ts'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const COMMANDS = buildProgram(contextOf([])).commands.filter((command) => command.name() !== 'help')
const COLUMNS = 80
const hasGroff = await run('groff', ['--version']).then(
  ({ code }) => code === 0,
  () => false,
)

/** Writes the pages with these arguments and reads them. */
async function makePages(...args: string[]): Promise<Map<string, string>> {
  const out = await tempDir('man')
  const script = join(ROOT, 'scripts/build-man.mjs')
  const { code, stderr } = await run(process.execPath, [script, '--out', out, ...args])
  expect(code, stderr).toBe(0)
  const names = await readdir(out)
  const texts = names.map(async (name) => [name, await readFile(join(out, name), 'utf8')] as const)
  return new Map(await Promise.all(texts))
}

/** What a reader sees of a page, on a terminal of 80 columns. */
async function shown(page: string): Promise<string> {
  const args = ['-man', '-Tutf8', '-ww', '-P-cbou', `-rLL=${COLUMNS}n`]
  const { stdout, stderr } = await run('groff', args, { stdin: page })
  expect(stderr).toBe('')
  return stdout
}

/** A page without the marks of roff. */
function plain(page: string): string {
  return page.replaceAll(/\\f[BIR]/g, '').replaceAll('\\-', '-')
}

describe('the manual pages', () => {
  let pages: ReadonlyMap<string, string>
  beforeAll(async () => {
    pages = await makePages()
  })

  it('are one for each command and one for each name of the program, all in package.json', async () => {
    const names = ['snap', 'influx-snap', ...COMMANDS.map((command) => `snap-${command.name()}`)]
    expect([...pages.keys()].sort()).toEqual(names.map((name) => `${name}.1`).sort())
    const { man } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    expect(man).toEqual([...pages.keys()].sort().map((name) => `dist/man/${name}`))
    expect(pages.get('influx-snap.1')).toBe('.so man1/snap.1\n')
  })

  it.each(COMMANDS.map((command) => command.name()))(
    'say of snap %s what its help says',
    (name) => {
      const command = COMMANDS.find((each) => each.name() === name)
      const page = plain(pages.get(`snap-${name}.1`) ?? '')
      for (const option of command?.options ?? []) {
        expect(page).toContain(`\n${option.flags.replaceAll(/[<>]/g, '')}\n`)
      }
      expect(page.match(/^\.SS /gm)?.length).toBe(
        new Set(command?.options.map(({ helpGroupHeading }) => helpGroupHeading)).size,
      )
      expect(page).toContain(`\nsnap ${name} [OPTION...]`)
      for (const argument of command?.registeredArguments ?? []) {
        expect(page).toContain(`
${argument.name()}
${argument.description}`)
      }
      for (const part of ['NAME', 'DESCRIPTION', 'OPTIONS', 'EXIT STATUS', 'SEE ALSO']) {
        expect(page).toContain(`\n.SH ${part}\n`)
      }
    },
  )

  it('list every command and every exit code', () => {
    const page = plain(pages.get('snap.1') ?? '')
    for (const command of COMMANDS) expect(page).toContain(`snap-${command.name()}(1)\n`)
    for (const [code, exit] of Object.entries(EXIT_CODES)) expect(page).toContain(`${exit} ${code}`)
  })

  it('show commands to copy', () => {
    const without = COMMANDS.map((command) => command.name()).filter(
      (name) => !pages.get(`snap-${name}.1`)?.includes('.SH EXAMPLES\n'),
    )
    expect(without).toEqual(['version'])
  })

  it.skipIf(!hasGroff)('are sound, and readable on a narrow terminal', async () => {
    for (const [name, page] of pages) {
      if (page.startsWith('.so ')) continue
      const text = await shown(page)
      expect(text).toMatch(/^SNAP/)
      const prose = text.replace(/^EXAMPLES\n[\s\S]*?(?=^[A-Z])/m, '')
      const wide = prose.split('\n').filter((line) => line.length > COLUMNS)
      expect(wide, name).toEqual([])
    }
  })

  it('can be made for the other name alone', async () => {
    const own = await makePages('--name', 'influx-snap')
    expect([...own.keys()].sort()).toEqual(
      [...pages.keys()]
        .filter((name) => name !== 'influx-snap.1')
        .map((name) => `influx-${name}`)
        .sort(),
    )
    const page = plain(own.get('influx-snap-backup.1') ?? '')
    expect(page).toContain('\ninflux-snap backup [OPTION...]')
    expect(page).not.toMatch(/(?<![-\w])snap backup/)
  })
})
