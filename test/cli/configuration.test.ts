import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SettingOption, variableOf } from '../../src/cli/options.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { snapExpecting } from '../helpers/cli.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { examplesIn } from '../helpers/examples.ts'
import { startReceiver } from '../helpers/http-receiver.ts'
import { startServe } from '../helpers/serve.ts'
import { ROOT, readSources } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
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

/** The file of the page, with places of a test in it. */
async function writeConfiguration(host: string, heartbeat: string): Promise<string> {
  const dir = await tempDir('configuration')
  const [text = ''] = examplesIn(await readFile(PAGE, 'utf8')).flatMap((example) =>
    example.language === 'toml' ? [example.text] : [],
  )
  const places = [
    ['/etc/influx-snap', dir],
    ['/var/lib/node_exporter/textfile', dir],
    ['/var/tmp', dir],
    ['/backup/influx', join(dir, 'sets')],
    ['mountpoint -q /backup', `test -d ${dir}`],
    ['db1.example.net:8088', host],
  ]
  const path = join(dir, 'snap.toml')
  await writeFile(join(dir, 'http-password'), 'secret\n')
  for (const one of ['backup', 'verify']) {
    await writeFile(join(dir, `heartbeat-${one}`), `${heartbeat}/${one}\n`)
  }
  const moved = places.reduce((all, [from = '', to = '']) => all.replaceAll(from, to), text)
  await writeFile(path, moved)
  return path
}

const SIMPLE = { telegraf: { autogen: { shards: [{ id: 1, hour: 0, files: [{ mem: [1] }] }] } } }

describe('the file of the page', () => {
  it('serves every command of a night', async () => {
    const served = await startServe((await makeDirectory(SIMPLE)).flags)
    const receiver = await startReceiver()
    const path = await writeConfiguration(served.host, receiver.url)
    const env = { PATH: process.env.PATH ?? '' }
    const words = ['--config', path, '--target', 'nightly']
    for (const command of ['check', 'backup', 'list', 'verify', 'check']) {
      await snapExpecting(0, [command, ...words], { env })
    }
    await snapExpecting(0, ['drill', '--influxd', 'none', ...words], { env })
    await snapExpecting(0, ['export', '--format', 'lp', '-', '--config', path], { env })
    await snapExpecting(17, ['restore', ...words], { env })
    await served.stop()
    expect(receiver.requests.map(({ url }) => url)).toEqual([
      '/backup/start',
      '/backup',
      '/verify/start',
      '/verify',
    ])
    const figures = await readFile(join(dirname(path), 'snap.prom'), 'utf8')
    const commands = figures.match(/^snap_runs_total\{command="\w+",target="nightly"\} \d$/gm)
    expect(commands?.map((line) => line.replace(/.*command="(\w+)".* /, '$1 '))).toEqual([
      'backup 1',
      'check 2',
      'drill 1',
      'restore 1',
      'verify 1',
    ])
  })
})

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

  it('and the help say which values an option takes, where they are few', () => {
    const silent = rows().flatMap(({ option }) =>
      option.allowed
        .filter((value) => !`${option.flags} ${option.description}`.includes(value))
        .map((value) => `--${option.name()}: ${value}`),
    )
    expect(silent).toEqual([])
  })

  it('has defaults that the program takes as they are written', () => {
    for (const { option } of rows()) {
      const { defaultValueDescription: text } = option
      if (text === undefined) continue
      expect(option.parseTexts([text], option.name()), option.name()).toEqual(option.defaultValue)
    }
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
