import { describe, expect, it } from 'vitest'
import { contextOf, errorOf, runIn } from './harness.ts'
import { violations } from './json-schema.ts'

async function snap(...argv: string[]) {
  const context = contextOf(argv)
  const work = async () => ({ document: { argv }, text: 'worked' })
  await runIn(context, { work })
  return context
}

describe('help and version', () => {
  it.each([['--help'], ['-h'], ['-help'], ['help']])('%s shows the commands', async (...argv) => {
    const { stdout, stderr, exitCode } = await snap(...argv)
    expect(stdout.text).toMatch(/^Usage: snap \[options\] \[command\]/)
    expect(stdout.text).toContain('\n  version [options]')
    expect([stderr.text, exitCode()]).toEqual(['', 0])
  })

  it.each([
    ['probe', '--help'],
    ['probe', '-help'],
    ['help', 'probe'],
  ])('%s %s shows the options', async (...argv) => {
    const { stdout, exitCode } = await snap(...argv)
    expect(stdout.text).toMatch(/^Usage: snap probe \[options\] \[TARGET\]/)
    expect(exitCode()).toBe(0)
  })

  it.each([['--version'], ['-V']])('%s shows the version', async (flag) => {
    const { stdout, exitCode } = await snap(flag)
    expect(stdout.text).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(exitCode()).toBe(0)
  })
})

describe('snap version', () => {
  it('is as its schema says', async () => {
    const { stdout } = await snap('version', '--json')
    const document: Record<string, unknown> = JSON.parse(stdout.text)
    expect(violations('version.json', document)).toEqual([])
    expect(document).toMatchObject({
      ok: true,
      name: 'influx-snap',
      node: process.versions.node,
      commands: expect.arrayContaining(['version']),
    })
  })

  it('is a line for people', async () => {
    expect((await snap('version')).stdout.text).toMatch(/^snap \d+\.\d+\.\d+ \(node \d.*\)\n$/)
  })
})

describe('a wrong line', () => {
  it.each([
    [['nonsense'], "unknown command 'nonsense'", 'see `snap --help`'],
    [['prob'], "unknown command 'prob'", 'did you mean probe? see `snap --help`'],
    [['help', 'prob'], "unknown command 'prob'", 'did you mean probe? see `snap --help`'],
    [
      ['probe', '--josn'],
      "unknown option '--josn'",
      'did you mean --json? see `snap probe --help`',
    ],
    [['probe', '-json'], "unknown option '-json'", 'did you mean --json? see `snap probe --help`'],
    [
      ['probe', '-databse', 'x'],
      "unknown option '-databse'",
      'did you mean -database? see `snap probe --help`',
    ],
    [['probe', '-q'], "unknown option '-q'", 'see `snap probe --help`'],
    [['probe', '--pasword=x'], "unknown option '--pasword'", 'see `snap probe --help`'],
    [
      ['probe', '--target', 'x', '--config', ''],
      '--config: expected a value, got ""',
      'see `snap probe --help`',
    ],
    [['probe', '-x'], "unknown option '-x'", 'see `snap probe --help`'],
    [['probe', '--config'], "option '--config <file>' argument missing", 'see `snap probe --help`'],
    [
      ['probe', 'a', 'b'],
      "too many arguments for 'probe'. Expected 1 argument but got 2.",
      'see `snap probe --help`',
    ],
    [
      ['--quiet', 'probe'],
      "unknown option '--quiet'",
      'options stand behind the command; see `snap --help`',
    ],
    [
      ['probe', '-portable=x'],
      '-portable: expected true or false, got "x"',
      'see `snap probe --help`',
    ],
  ])('%j ends with 2 and a hint', async (argv, message, hint) => {
    const { stdout, stderr, exitCode } = await snap(...argv)
    expect(exitCode()).toBe(2)
    expect(stdout.text).toBe('')
    expect(stderr.text.endsWith(`error: ${message} (E_USAGE)\nhint: ${hint}\n`)).toBe(true)
  })

  it('without a command shows the commands', async () => {
    const { stdout, stderr, exitCode } = await snap()
    expect([stdout.text, exitCode()]).toEqual(['', 2])
    expect(stderr.text).toMatch(
      /^Usage: snap[\s\S]*error: missing command \(E_USAGE\)\nhint: .*\n$/,
    )
  })

  it('is one line of JSON with --json', async () => {
    const context = await snap('probe', '--json', '--nonsense')
    expect(context.stderr.text.split('\n')).toHaveLength(2)
    expect(violations('error.json', errorOf(context))).toEqual([])
    expect(JSON.parse(context.stdout.text)).toMatchObject({
      schema: 'snap/probe/1',
      ok: false,
      error: { code: 'E_USAGE', exitCode: 2 },
    })
    const unknown = await snap('nonsense', '--json')
    expect(errorOf(unknown)['message']).toBe("unknown command 'nonsense'")
    expect(unknown.stdout.text).toBe('')
  })

  it('does not take --json after -- or as anything else', async () => {
    const { stderr } = await snap('probe', 'a', '--', '--json', 'b')
    expect(stderr.text).toContain('error: too many arguments')
  })
})

describe('the words of influxd', () => {
  it('work as they are', async () => {
    const { stdout, exitCode } = await snap('probe', '-portable', '-online=true', '/backup')
    expect([stdout.text, exitCode()]).toEqual(['worked\n', 0])
  })
})
