import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import { expect, it, onTestFinished, vi } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { answerQuestions, endOfThread, Thread, threadOnDemand } from '../../src/io/thread.ts'
import { tempDir } from '../helpers/temp.ts'

/** Doubles numbers, fails with text, ends with null, and says nothing to anything else. */
const PROGRAM = `
const { parentPort } = require('node:worker_threads')
parentPort.on('message', ({ id, question }) => {
  if (typeof question === 'number') parentPort.postMessage({ id, answer: 2 * question })
  if (question === null) process.exit()
  if (typeof question !== 'string') return
  const failure = { code: 'E_FORMAT', message: question, hint: 'a hint', retryable: true }
  parentPort.postMessage({ id, failure })
})`
const NAME = 'the thread that doubles'
const DEAD = { code: 'E_FAILED', message: `${NAME} has ended` }

const start = () => new Thread<unknown, number>(NAME, PROGRAM)

it('answers, and fails, each as it was asked', async () => {
  const thread = start()
  const [one, failed, two] = await Promise.allSettled([1, 'why', 2].map((it) => thread.ask(it)))
  expect([one, two]).toMatchObject([{ value: 2 }, { value: 4 }])
  expect(failed).toMatchObject({
    reason: { code: 'E_FORMAT', message: 'why', hint: 'a hint', retryable: true },
  })
  expect(failed).toHaveProperty('reason', expect.any(SnapError))
  await expect(thread.ask(null)).rejects.toMatchObject(DEAD)
})

it('leaves nobody waiting for a thread that has died', async () => {
  const thread = start()
  const silent = thread.ask({})
  await Promise.all([
    expect(silent).rejects.toMatchObject(DEAD),
    expect(thread.ask(null)).rejects.toMatchObject(DEAD),
  ])
  expect(thread.hasDied).toBe(true)
  await expect(thread.ask(1)).rejects.toMatchObject(DEAD)
})

it('says why its program did not run', async () => {
  const thread = new Thread(NAME, 'throw new Error("broken")')
  const cause = expect.objectContaining({ message: 'broken' })
  await expect(thread.ask(1)).rejects.toMatchObject({ ...DEAD, cause })
})

it('says what the system refused it', () => {
  const text = 'Worker initialization failure: EMFILE'
  const cause = Object.assign(new Error(text), { code: 'ERR_WORKER_INIT_FAILED' })
  const message = `${NAME} cannot be started: ${text}`
  expect(endOfThread(NAME, cause)).toMatchObject({ code: 'E_SOURCE', message, cause })
})

it('waits no longer than its signal', async () => {
  const thread = start()
  const stop = new AbortController()
  const silent = thread.ask({}, stop.signal)
  const other = thread.ask(3, stop.signal)
  expect(await other).toBe(6)
  stop.abort(new SnapError('E_INTERRUPTED', 'stopped'))
  await expect(silent).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  await expect(thread.ask(1, stop.signal)).rejects.toMatchObject({ code: 'E_INTERRUPTED' })
  expect(await thread.ask(1)).toBe(2)
  await expect(thread.ask(null)).rejects.toMatchObject(DEAD)
})

/** Reports a number, and works until it is told to stop, on 'deaf' for ever. */
const WORKER = `
const { parentPort } = require('node:worker_threads')
const asked = new Map()
parentPort.on('message', ({ id, question, stop }) => {
  if (question !== undefined) asked.set(id, question)
  if (question === 'slow') parentPort.postMessage({ id, report: 7 })
  if (question === 'quick') parentPort.postMessage({ id, answer: 1 })
  const failure = { code: 'E_INTERRUPTED', message: 'stopped there', retryable: false }
  if (stop && asked.get(id) === 'slow') setTimeout(() => parentPort.postMessage({ id, failure }), 50)
})`

it('tells work to stop, and waits until it has', async () => {
  const thread = new Thread<string, number>(NAME, WORKER)
  const stop = new AbortController()
  const told: number[] = []
  const onReport = (done: number) => {
    told.push(done)
    stop.abort(new SnapError('E_INTERRUPTED', 'stopped here'))
  }
  const started = performance.now()
  const work = thread.work('slow', { signal: stop.signal, onReport })
  await expect(work).rejects.toMatchObject({ message: 'stopped here' })
  expect(performance.now() - started).toBeGreaterThan(40)
  expect(told).toEqual([7])
  const { signal } = new AbortController()
  expect(await thread.work('quick', { signal, onReport })).toBe(1)
})

it('waits no longer for work than it may take to stop', async () => {
  const thread = new Thread<string, number>(NAME, WORKER)
  const stop = new AbortController()
  const work = thread.work('deaf', { signal: stop.signal, onReport: () => {} })
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  stop.abort(new SnapError('E_INTERRUPTED', 'stopped here'))
  const ended = expect(work).rejects.toMatchObject({ message: 'stopped here' })
  vi.advanceTimersByTime(10_000)
  await ended
})

it('stops what it answers, and that alone', async () => {
  const { port1, port2 } = new MessageChannel()
  answerQuestions<number, number>(port2, async (question, { signal, report }) => {
    report(question)
    if (question === 2) return 2
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    return 0
  })
  const got: unknown[] = []
  const all = new Promise<void>((resolve) => {
    port1.on('message', (message) => {
      if (got.push(message) === 4) resolve()
    })
  })
  for (const id of [1, 2]) port1.postMessage({ id, question: id })
  for (const id of [2, 9, 1]) port1.postMessage({ id, stop: true })
  await all
  port1.close()
  expect(got).toEqual([
    { id: 1, report: 1 },
    { id: 2, report: 2 },
    { id: 2, answer: 2 },
    { id: 1, failure: expect.objectContaining({ code: 'E_INTERRUPTED' }) },
  ])
})

it.skipIf(availableParallelism() === 1)(
  'is one as long as it lives, and another one after that',
  async () => {
    const program = join(await tempDir('thread'), 'program.cjs')
    const open = threadOnDemand<unknown, number>(NAME, pathToFileURL(program))
    expect(open()).toBeUndefined()
    await writeFile(program, PROGRAM)
    const first = open()
    expect(open()).toBe(first)
    await expect(first?.ask(null)).rejects.toMatchObject(DEAD)
    const second = open()
    expect(await second?.ask(2)).toBe(4)
    await expect(second?.ask(null)).rejects.toMatchObject(DEAD)
  },
)

it('keeps no process alive, and ends none that waits for it', async () => {
  const program = `
    const { Thread } = await import('./dist/io/thread.js')
    const thread = new Thread('', ${JSON.stringify(PROGRAM)})
    const stop = new AbortController()
    thread.ask({}, stop.signal).catch(() => {})
    stop.abort()
    console.log(await thread.ask(21))`
  const words = ['--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  expect(stdout).toBe('42\n')
})

it('has a program that answers what comes, and says what it cannot', async () => {
  const { port1, port2 } = new MessageChannel()
  answerQuestions(port2, async (question: number) => {
    if (question === 1) throw new SnapError('E_FORMAT', 'one', { hint: 'two' })
    if (question === 2) throw new Error('broken')
    return question
  })
  const answers: unknown[] = []
  const done = new Promise((resolve) => {
    port1.on('message', (answered) => {
      if (answers.push(answered) === 3) resolve(port1.close())
    })
  })
  for (const question of [1, 2, 3]) port1.postMessage({ id: question, question })
  await done
  expect(answers).toMatchObject([
    { id: 1, failure: { code: 'E_FORMAT', message: 'one', hint: 'two', retryable: false } },
    { id: 2, failure: { code: 'E_FAILED', message: 'thread: broken' } },
    { id: 3, answer: 3 },
  ])
})
