import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import type { CommandResult } from '../../src/cli/output.ts'
import { placeOf } from '../../src/cli/run.ts'
import { EXIT_CODES, recode, SnapError } from '../../src/errors.ts'
import { until } from '../helpers/until.ts'
import type { TestContext } from './harness.ts'
import { contextOf, errorOf, runIn } from './harness.ts'
import { violations } from './json-schema.ts'

const RESULT: CommandResult = {
  document: { id: 18446744073709551615n, shards: new Map([[1n, 7n]]) },
  text: '1 7',
  summary: 'did it',
}

async function run(argv: string, work: () => Promise<CommandResult>, context?: TestContext) {
  const world = context ?? contextOf(['probe', ...argv.split(' ').filter((word) => word !== '')])
  await runIn(world, { work })
  return world
}

const done = async () => RESULT
const fails = (error: unknown) => async () => {
  throw error
}

describe('a command that ends well', () => {
  it('prints what was asked for and what was done', async () => {
    const { stdout, stderr, exitCode } = await run('', done)
    expect([stdout.text, stderr.text, exitCode()]).toEqual(['1 7\ndid it\n', '', 0])
  })

  it('prints only what was asked for when it is quiet', async () => {
    expect((await run('--quiet', done)).stdout.text).toBe('1 7\n')
  })

  it('prints one JSON document with 64-bit numbers as text', async () => {
    const { stdout, stderr } = await run('--json', done)
    expect(stdout.text).toBe(
      '{"schema":"snap/probe/1","ok":true,"id":"18446744073709551615","shards":{"1":"7"}}\n',
    )
    expect(stderr.text).toBe('')
  })

  it('keeps its words away from data on stdout', async () => {
    const { stdout, stderr } = await run('-', async () => ({ document: {}, summary: 'did it' }))
    expect([stdout.text, stderr.text]).toEqual(['', 'did it\n'])
  })

  it('refuses to put data and JSON in one place', async () => {
    const context = await run('--json -', done)
    expect(context.exitCode()).toBe(2)
    expect(errorOf(context)['message']).toBe('--json and - cannot both have standard output')
  })
})

describe('a command that finished, but', () => {
  const problem = new SnapError('E_INCOMPLETE', 'shard 7 was skipped')
  const incomplete = async () => ({ ...RESULT, problem })

  it('prints its result, then why it does not end with 0', async () => {
    const { stdout, stderr, exitCode } = await run('', incomplete)
    expect(stdout.text).toBe('1 7\ndid it\n')
    expect(stderr.text).toMatch(/^error: shard 7 was skipped \(E_INCOMPLETE\)\nhint: .+\n$/)
    expect(exitCode()).toBe(3)
  })

  it('is not ok in JSON, where the result stands beside the error', async () => {
    const context = await run('--json', incomplete)
    const error = { code: 'E_INCOMPLETE', exitCode: 3, message: 'shard 7 was skipped' }
    expect(JSON.parse(context.stdout.text)).toMatchObject({ ok: false, shards: { 1: '7' }, error })
    expect(errorOf(context)).toMatchObject({ schema: 'snap/error/1', ...error })
  })
})

describe('a command that fails', () => {
  it.each(Object.entries(EXIT_CODES))('with %s ends with %d', async (code, exitCode) => {
    const error = new SnapError(code as keyof typeof EXIT_CODES, 'no')
    const context = await run('--json', fails(error))
    expect(context.exitCode()).toBe(exitCode)
    expect(violations('error.json', errorOf(context))).toEqual([])
    expect(errorOf(context)).toMatchObject({ code, exitCode, message: 'no' })
    expect(errorOf(context)['hint']).not.toBe('')
  })

  it('hints at what happened to a destination, if that is no matter of space', async () => {
    const cause = new SnapError('E_CUT', 'h:1: connection reset by the peer')
    const { stderr } = await run('', fails(recode(cause, 'E_DESTINATION')))
    expect(stderr.text).toContain('reset by the peer (E_DESTINATION)\nhint: run it again')
    const full = new SnapError('E_DESTINATION', 'no space', { cause: new Error('ENOSPC') })
    expect((await run('', fails(full))).stderr.text).toContain('check space')
  })

  it('says so in two lines, with the hint of the error', async () => {
    const { stdout, stderr } = await run('', fails(new SnapError('E_KEY', 'no', { hint: 'yes' })))
    expect([stdout.text, stderr.text]).toEqual(['', 'error: no (E_KEY)\nhint: yes\n'])
  })

  it('still prints one document in JSON', async () => {
    const { stdout, stderr } = await run(
      '--json',
      fails(new SnapError('E_KEY', 'no', { hint: 'yes' })),
    )
    const error = '"code":"E_KEY","exitCode":12,"message":"no","hint":"yes"'
    expect(stdout.text).toBe(`{"schema":"snap/probe/1","ok":false,"error":{${error}}}\n`)
    expect(stderr.text).toBe(`{"schema":"snap/error/1",${error}}\n`)
  })

  it('asks for a report of what nobody foresaw', async () => {
    const { stderr, exitCode } = await run('', fails(new TypeError('x is not a function')))
    expect(exitCode()).toBe(1)
    expect(stderr.text).toMatch(
      /^error: unexpected: x is not a function \(E_FAILED\)\nhint: .*report/,
    )
    expect(stderr.text).not.toContain(' at ')
  })

  it('shows stacks and causes with --debug alone', async () => {
    const error = new SnapError('E_CUT', 'short', { cause: new Error('the cause of it') })
    const { stderr } = await run('--debug --json', fails(error))
    expect(stderr.text).toMatch(/SnapError: short\n +at /)
    expect(stderr.text).toContain('the cause of it')
    expect(JSON.parse(stderr.text.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      code: 'E_CUT',
    })
  })

  it('takes anything thrown', async () => {
    const { stderr } = await run('', fails('a string'))
    expect(stderr.text).toContain('error: unexpected: a string')
  })
})

describe('a signal', () => {
  const untilAborted = (context: TestContext, log: string[], cleanup = 0) =>
    runIn(context, {
      work: async ({ signal }) => {
        log.push('started')
        await new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject('gone')),
        ).catch(async (error: unknown) => {
          await sleep(cleanup)
          log.push('cleaned')
          throw error
        })
        return RESULT
      },
    })

  it.each([
    ['SIGINT', 130, 'interrupted (E_INTERRUPTED)'],
    ['SIGTERM', 143, 'terminated (E_TERMINATED)'],
    ['SIGHUP', 143, 'the terminal was closed (E_TERMINATED)'],
  ])('%s lets it clean up and ends with %d', async (name, exitCode, text) => {
    const context = contextOf(['probe'])
    const log: string[] = []
    const running = untilAborted(context, log, 10)
    await until(() => log.length > 0)
    context.signals.emit(name)
    await running
    expect(log).toEqual(['started', 'cleaned'])
    expect(context.exitCode()).toBe(exitCode)
    expect(context.stderr.text).toContain(`error: ${text}\n`)
    expect(context.exits).toEqual([])
    for (const each of ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException'])
      expect(context.signals.listenerCount(each)).toBe(0)
  })

  it('ends it at once when it comes again', async () => {
    const context = contextOf(['probe'])
    const log: string[] = []
    const running = untilAborted(context, log, 50)
    await until(() => log.length > 0)
    context.signals.emit('SIGINT')
    context.signals.emit('SIGINT')
    expect(context.exits).toEqual([130])
    await running
  })

  it('leaves a command that ends well all the same its result', async () => {
    const context = contextOf(['probe'])
    await runIn(context, {
      work: async () => {
        context.signals.emit('SIGTERM')
        return RESULT
      },
    })
    expect(context.exitCode()).toBe(0)
    expect(context.stdout.text).toBe('1 7\ndid it\n')
  })
})

describe('an error outside every promise', () => {
  it('aborts the command and is what it ends with', async () => {
    const context = contextOf(['probe', '--json'])
    await runIn(context, {
      work: async ({ signal }) => {
        context.signals.emit('uncaughtException', new RangeError('stray'))
        signal.throwIfAborted()
        return RESULT
      },
    })
    expect(context.exitCode()).toBe(1)
    expect(errorOf(context)).toMatchObject({ code: 'E_FAILED', message: 'unexpected: stray' })
  })

  it('ends a command that hangs after ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const context = contextOf(['probe'])
      let finish = () => {}
      const running = runIn(context, {
        work: () =>
          new Promise((resolve) => {
            finish = () => resolve(RESULT)
            setImmediate(() => context.signals.emit('uncaughtException', new Error('stray')))
          }),
      })
      await until(() => vi.getTimerCount() === 1)
      vi.advanceTimersByTime(9_999)
      expect(context.exits).toEqual([])
      vi.advanceTimersByTime(1)
      await until(() => context.exits.length > 0)
      expect(context.exits).toEqual([1])
      expect(context.stderr.text).toContain('error: unexpected: stray')
      finish()
      await running
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('a reader of stdout that went away', () => {
  it('ends the work without a word', async () => {
    const context = contextOf(['probe'])
    await runIn(context, {
      work: async ({ signal, stdout }) => {
        context.stdout.failWith = 'EPIPE'
        stdout.write('data')
        await until(() => {
          signal.throwIfAborted()
          return false
        })
        await new Promise((_, reject) => signal.addEventListener('abort', reject))
        return RESULT
      },
    }).catch(() => {})
    expect([context.stderr.text, context.exitCode()]).toEqual(['', 15])
  })

  it('is nothing to a command that has done its work', async () => {
    const context = contextOf(['probe'])
    context.stdout.failWith = 'EPIPE'
    await run('', done, context)
    expect([context.stderr.text, context.exitCode()]).toEqual(['', 0])
  })

  it('is another thing than a full disk', async () => {
    const context = contextOf(['probe', '--json'])
    context.stdout.failWith = 'ENOSPC'
    await run('', done, context)
    expect(context.exitCode()).toBe(15)
    expect(errorOf(context)).toMatchObject({ code: 'E_DESTINATION' })
  })
})

describe('placeOf', () => {
  const base = { signal: new AbortController().signal, progress: () => {} }
  const world = { ...base, stdout: contextOf([]).stdout }

  it('takes the argument, or the place of the named target', () => {
    const place = { name: 'TARGET', value: '/a' }
    expect(placeOf({ ...world, location: undefined }, place)).toBe('/a')
    expect(placeOf({ ...world, location: '/b' }, { name: 'TARGET', value: undefined })).toBe('/b')
  })

  it('refuses none and both', () => {
    const nothing = { name: 'SOURCE', value: undefined }
    expect(() => placeOf({ ...world, location: undefined }, nothing)).toThrow('missing SOURCE')
    expect(() => placeOf({ ...world, location: undefined }, { ...nothing, value: '' })).toThrow(
      'missing SOURCE',
    )
    expect(() => placeOf({ ...world, location: '/b' }, { name: 'SOURCE', value: '/a' })).toThrow(
      'SOURCE is given twice: /a and /b',
    )
  })
})
