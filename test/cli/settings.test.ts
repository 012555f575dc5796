import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  addSettings,
  listSetting,
  parseSwitch,
  switchSetting,
  valueSetting,
  variableOf,
} from '../../src/cli/options.ts'
import { refuseTogether } from '../../src/cli/settings.ts'
import { parseDuration } from '../../src/cli/times.ts'
import { parseText, wholeNumber } from '../../src/cli/values.ts'
import { errorOf, readWith } from './harness.ts'

const SETTINGS = {
  jobs: valueSetting({
    flags: '--jobs <n>',
    description: 'jobs',
    parse: wholeNumber(1, 64),
    fallback: '4',
  }),
  idle: valueSetting({ flags: '--idle-timeout <time>', description: 'idle', parse: parseDuration }),
  names: listSetting({ flags: '--db <name>', description: 'names', parse: parseText }),
  merge: switchSetting({ flags: '--merge', description: 'merge' }),
  cq: switchSetting({ flags: '--no-cq', description: 'without' }),
}

const declare = (command: Command) => addSettings(command, SETTINGS)
const read = (command: Command, run: { location: string | undefined }) => ({
  jobs: SETTINGS.jobs.read(command),
  idle: SETTINGS.idle.read(command),
  names: SETTINGS.names.read(command),
  merge: SETTINGS.merge.read(command),
  cq: SETTINGS.cq.read(command),
  location: run.location,
})
const NOTHING = { jobs: 4, names: [], merge: false, cq: true }

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'snap-settings-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function run(argv: readonly string[], env: Record<string, string> = {}) {
  return readWith(argv, { declare, read }, { env: { INFLUX_SNAP_JSON: '1', ...env } })
}

let files = 0
async function withFile(text: string, argv: readonly string[], env: Record<string, string> = {}) {
  const path = join(folder, `${++files}.toml`)
  await writeFile(path, text)
  return { path, ...(await run(['--config', path, ...argv], env)) }
}

describe('options', () => {
  it('have their defaults', async () => {
    expect((await run([])).value).toEqual({ ...NOTHING, idle: undefined, location: undefined })
  })

  it('are read from the line', async () => {
    const argv = ['--jobs', '2', '--db=a', '--db', 'b,c', '--merge', '--no-cq', '--idle-timeout=2m']
    const { value } = await run([...argv, '--jobs', '3'])
    expect(value).toMatchObject({
      jobs: 3,
      idle: 120_000,
      names: ['a', 'b,c'],
      merge: true,
      cq: false,
    })
  })

  it('name flag and value when they are wrong', async () => {
    const { context } = await run(['--jobs', '0'])
    expect(context.exitCode()).toBe(2)
    expect(errorOf(context)).toMatchObject({
      code: 'E_USAGE',
      message: '--jobs: expected a whole number from 1 to 64, got "0"',
    })
  })
})

describe('variables', () => {
  it('are named after the option', () => {
    expect(variableOf('first-byte-timeout')).toBe('INFLUX_SNAP_FIRST_BYTE_TIMEOUT')
  })

  it('count where the line says nothing', async () => {
    const env = {
      INFLUX_SNAP_JOBS: '7',
      INFLUX_SNAP_DB: 'a,b',
      INFLUX_SNAP_MERGE: 'true',
      INFLUX_SNAP_NO_CQ: '1',
      INFLUX_SNAP_IDLE_TIMEOUT: '',
    }
    const set = { jobs: 7, names: ['a', 'b'], merge: true, cq: false, idle: undefined }
    expect((await run([], env)).value).toMatchObject(set)
    const { value } = await run(['--jobs', '2', '--db', 'c'], env)
    expect(value).toMatchObject({ jobs: 2, names: ['c'], merge: true })
  })

  it('can say no', async () => {
    const { value } = await run([], { INFLUX_SNAP_MERGE: '0', INFLUX_SNAP_NO_CQ: 'false' })
    expect(value).toMatchObject({ merge: false, cq: true })
  })

  it.each([
    ['INFLUX_SNAP_JOBS', 'x', 'INFLUX_SNAP_JOBS: expected a whole number from 1 to 64, got "x"'],
    ['INFLUX_SNAP_MERGE', 'maybe', 'INFLUX_SNAP_MERGE: expected true or false, got "maybe"'],
  ])('are named when %s is wrong', async (name, text, message) => {
    const { context } = await run([], { [name]: text })
    expect(errorOf(context)).toMatchObject({ code: 'E_USAGE', message })
  })
})

describe('a variable that is no setting', () => {
  const shown = async (env: Record<string, string>, argv: readonly string[] = []) => {
    const { context } = await readWith(argv, { declare, read }, { env })
    return context.stderr.text
  }

  it('is warned of, with what was meant', async () => {
    expect(await shown({ INFLUX_SNAP_LOCK_WIAT: '1h', INFLUX_SNAP_WHATEVER: '1' })).toBe(
      'warning: INFLUX_SNAP_LOCK_WIAT is no setting: did you mean INFLUX_SNAP_LOCK_WAIT?\n' +
        'warning: INFLUX_SNAP_WHATEVER is no setting\n',
    )
  })

  it('is passed over in silence if all is to be, or if it is empty', async () => {
    expect(await shown({ INFLUX_SNAP_WHATEVER: '1' }, ['--quiet'])).toBe('')
    expect(await shown({ INFLUX_SNAP_WHATEVER: '' })).toBe('')
  })

  it('is none of other commands, of secrets and of hooks', async () => {
    const env = {
      INFLUX_SNAP_KEEP_DAILY: '7',
      INFLUX_SNAP_PASSPHRASE: 'secret',
      INFLUX_SNAP_RUN_COMMAND: 'backup',
    }
    expect(await shown(env)).toBe('')
  })
})

describe('a configuration file', () => {
  const FILE = `
jobs = 5
merge = true
db = "top"
no-cq = true

[targets.nightly]
location = "/backup"
db = ["a", "b"]
idle-timeout = "90s"
no-cq = false

[targets."with space"]
jobs = 9
`

  it('comes after line and variables, before defaults', async () => {
    const { value } = await withFile(FILE, ['--jobs', '1'], { INFLUX_SNAP_MERGE: 'f' })
    expect(value).toMatchObject({ jobs: 1, merge: false, names: ['top'], cq: false })
  })

  it('has targets that come before the rest of it and bring their place', async () => {
    const { value } = await withFile(FILE, ['--target', 'nightly'])
    expect(value).toEqual({
      jobs: 5,
      idle: 90_000,
      names: ['a', 'b'],
      merge: true,
      cq: true,
      location: '/backup',
    })
    const spaced = await withFile(FILE, ['--target', 'with space'])
    expect(spaced.value).toMatchObject({ jobs: 9, location: undefined })
  })

  it('has tables of single commands, which come before what is for all', async () => {
    const text = `
jobs = 1
idle-timeout = "1s"
[probe]
jobs = 2
db = "own"
[verify]
deep = true
[targets.a]
jobs = 3
[targets.a.probe]
jobs = 4
[targets.b]
jobs = 5
`
    const jobsOf = async (...argv: string[]) => (await withFile(text, argv)).value
    expect(await jobsOf()).toMatchObject({ jobs: 2, names: ['own'], idle: 1000 })
    expect(await jobsOf('--target', 'a')).toMatchObject({ jobs: 4, names: ['own'] })
    expect(await jobsOf('--target', 'b')).toMatchObject({ jobs: 5, names: ['own'] })
  })

  it('is found by INFLUX_SNAP_CONFIG and INFLUX_SNAP_TARGET', async () => {
    const { path } = await withFile(FILE, [])
    const env = { INFLUX_SNAP_CONFIG: path, INFLUX_SNAP_TARGET: 'nightly' }
    expect((await run([], env)).value).toMatchObject({ location: '/backup' })
  })

  it('may set options of other commands', async () => {
    const { context } = await withFile('json = true\nquiet = false', [])
    expect(context.exitCode()).toBe(0)
  })

  it.each([
    ['job = 3', [], /toml: unknown key "job"/, 'did you mean jobs?'],
    ['zzzzzzzz = 3', [], /unknown key "zzzzzzzz"/, /long options without their dashes/],
    ['location = "/x"', [], /unknown key "location"/, /./],
    ['config = "x"', [], /unknown key "config"/, /./],
    ['[targets.a]\njosb = 1', [], /toml: \[targets\.a\]: unknown key "josb"/, 'did you mean jobs?'],
    ['jobs = 0', [], /toml: jobs: expected a whole number from 1 to 64, got "0"/, /./],
    ['jobs = 99999999999999999999', [], /toml: jobs: expected a whole|toml:/, /./],
    ['jobs = [1, 2]', [], /toml: jobs: expected one value, got 2/, /./],
    ['jobs = []', [], /toml: jobs: expected one value, got 0/, /./],
    ['jobs = 2026-01-01', [], /toml: jobs: expected text, a number, true or false/, /./],
    ['[zzzzzzzz]\na = 1', [], /unknown key "zzzzzzzz"/, 'tables are named by commands'],
    ['[verfiy]\ndeep = true', [], /unknown key "verfiy"/, 'did you mean verify?'],
    ['[verify]\njobsx = 1', [], /toml: \[verify\]: unknown key "jobsx"/, 'did you mean jobs?'],
    ['[verify]\nhost = "x"', [], /toml: \[verify\]: unknown key "host"/, /./],
    ['[targets.a.verify]\ndepe = 1', [], /\[targets\.a\.verify\]: unknown key "depe"/, /deep/],
    ['[targets.a.verify.x]\ny = 1', [], /targets\.a\.verify/, /./],
    ['[jobs]\na = 1', [], /toml: jobs: expected text/, /./],
    ['targets = 3', [], /toml: targets: expected \[targets\.NAME\]/, /./],
    ['[targets]\nnightly = "/x"', [], /toml: targets\.nightly: /, /./],
    ['jobs = ', [], /toml: line 1, column 8: Invalid TOML document: invalid value$/, /./],
    ['[targets.nightly]', ['--target', 'nihgtly'], /no target "nihgtly"/, 'did you mean nightly?'],
    ['[targets.nightly]', ['--target', 'x'], /no target "x"/, 'it has: nightly'],
    ['', ['--target', 'x'], /no target "x"/, 'the file names no target'],
  ])('is refused: %j %j', async (text, argv, message, hint) => {
    const { context, value } = await withFile(text, argv)
    expect(value).toBeUndefined()
    expect(context.exitCode()).toBe(2)
    const error = errorOf(context)
    expect(error['message']).toMatch(message)
    expect(error['hint']).toMatch(hint)
  })

  it('is refused when it cannot be read or is too large', async () => {
    const missing = await run(['--config', join(folder, 'none.toml')])
    expect(errorOf(missing.context)['message']).toMatch(
      /^--config .*none\.toml: cannot be read: ENOENT/,
    )
    const { context } = await withFile('#'.repeat(1024 * 1024 + 1), [])
    expect(errorOf(context)['message']).toMatch(/larger than 1048576 bytes/)
  })

  it('must be there for --target', async () => {
    const { context } = await run(['--target', 'nightly'])
    expect(errorOf(context)).toMatchObject({
      message: '--target nightly: there is no file to look it up in',
      hint: 'give --config FILE or set INFLUX_SNAP_CONFIG',
    })
  })
})

describe('refuseTogether', () => {
  const check = (argv: readonly string[], env = {}) =>
    readWith(
      argv,
      { declare, read: (command) => refuseTogether(command, 'merge', ['db', 'no-cq']) },
      { env: { INFLUX_SNAP_JSON: '1', ...env } },
    )

  it('refuses options wherever they were set', async () => {
    const { context } = await check(['--merge'], { INFLUX_SNAP_DB: 'a' })
    expect(errorOf(context)['message']).toBe('--merge cannot be used with --db')
    expect((await check(['--merge', '--no-cq'])).context.exitCode()).toBe(2)
  })

  it('lets one of them alone, and one that says no', async () => {
    expect((await check(['--merge'])).context.exitCode()).toBe(0)
    expect((await check(['--db', 'a', '--no-cq'])).context.exitCode()).toBe(0)
    const off = await check(['--db', 'a'], { INFLUX_SNAP_MERGE: '0' })
    expect(off.context.exitCode()).toBe(0)
  })
})

describe('parseSwitch', () => {
  it('reads what Go reads, and what people write', () => {
    for (const text of ['1', 't', 'T', 'TRUE', 'true', 'yes', 'On'])
      expect(parseSwitch(text, '-x')).toBe(true)
    for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'no', 'off'])
      expect(parseSwitch(text, '-x')).toBe(false)
  })
})
