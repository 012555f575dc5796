import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SettingOption, variableOf } from '../../src/cli/options.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { ROOT, readSources } from '../helpers/sources.ts'
import { contextOf } from './harness.ts'

const PAGE = join(ROOT, 'docs/configuration.md')
const BEGIN = '<!-- options: made from the program by test/cli/configuration.test.ts -->\n'
const END = '<!-- end of options -->\n'

/** Commands that have an option with the same words. */
interface Row {
  readonly option: SettingOption
  readonly commands: string[]
}

const COMMANDS = buildProgram(contextOf([])).commands.filter((command) => command.name() !== 'help')

/** Every option of every command, by name; one that means different things has a row for each. */
function rows(): Row[] {
  const found = new Map<string, Row>()
  for (const command of COMMANDS) {
    for (const option of command.options) {
      if (!(option instanceof SettingOption)) continue
      const key = JSON.stringify([
        option.name(),
        option.description,
        option.defaultValueDescription,
      ])
      const row = found.get(key) ?? { option, commands: [] }
      row.commands.push(command.name())
      found.set(key, row)
    }
  }
  return [...found.values()].sort((a, b) => (a.option.name() < b.option.name() ? -1 : 1))
}

/** Options that choose the file cannot stand in it. */
const NOT_IN_FILE = ['config', 'target']

function keyOf(option: SettingOption): string {
  if (NOT_IN_FILE.includes(option.name())) return ''
  const values = { switch: 'true', value: '"..."', list: '["..."]' }
  return `\`${option.name()} = ${values[option.kind]}\``
}

function lineOf({ option, commands }: Row): string {
  const isEverywhere = commands.length === COMMANDS.length
  const fallback = option.defaultValueDescription
  const cells = [
    `\`${option.flags}\``,
    `\`${variableOf(option.name())}\``,
    keyOf(option),
    fallback === undefined ? '' : `\`${fallback}\``,
    isEverywhere ? 'all' : commands.join(', '),
    option.description,
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
}

function table(): string {
  const head = '| option | variable | key | default | commands | |\n|---|---|---|---|---|---|\n'
  return `${BEGIN}\n${head}${rows().map(lineOf).join('')}\n${END}`
}

/** Not settings: what is said to hooks. */
const TOLD = /^INFLUX_SNAP_RUN_/

describe('the page on configuration', () => {
  it('lists every option as the program has it (UPDATE=1 writes it anew)', async () => {
    const page = await readFile(PAGE, 'utf8')
    const [before = '', rest = ''] = page.split(BEGIN)
    const fresh = before + table() + (rest.split(END)[1] ?? '')
    if (process.env.UPDATE === '1') await writeFile(PAGE, fresh)
    else expect(page).toBe(fresh)
  })

  it('names every variable that the sources read', async () => {
    const page = await readFile(PAGE, 'utf8')
    const read = readSources().flatMap(({ code }) => code.match(/INFLUX_SNAP_[A-Z]\w+/g) ?? [])
    const missing = new Set(
      read.filter((name) => !TOLD.test(name) && !page.includes(`\`${name}\``)),
    )
    expect([...missing]).toEqual([])
  })
})
