import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Sha256, sha256OfShared } from '../../src/io/hash-worker.ts'
import { Thread } from '../../src/io/thread.ts'

/** Answers a number. */
const PROGRAM = `
const { parentPort } = require('node:worker_threads')
parentPort.on('message', ({ id, question }) => {
  if (typeof question === 'number') parentPort.postMessage({ id, answer: question })
})`

const SHARED = new Uint8Array(new SharedArrayBuffer(2 * 1024 * 1024))
const SHA256 = createHash('sha256').update(SHARED).digest('hex')

/** Hashes bit by bit, more than there are slots. */
async function hashBits(): Promise<string> {
  const hash = new Sha256()
  await hash.update(SHARED)
  return await hash.digest()
}

let asked: Thread<unknown, number> | undefined
/** Whoever waits for a worker: what it is called, and a question that is answered where one lives. */
const WAITERS = [
  ['a thread', 'the thread that answers', 1, () => askThread()],
  ['the thread that hashes, bit by bit', 'the thread that hashes', SHA256, hashBits],
  [
    'the thread that hashes, at once',
    'the thread that hashes',
    SHA256,
    () => sha256OfShared(SHARED),
  ],
] as const

async function askThread(): Promise<number> {
  if (asked === undefined || asked.hasDied) asked = new Thread('the thread that answers', PROGRAM)
  return await asked.ask(1)
}

const DEATHS = {
  'is ended': (worker: Worker) => void worker.terminate(),
  'throws what nobody catches': (worker: Worker) => post.call(worker, null),
}

const post = Worker.prototype.postMessage
/** What is done to a worker instead of the next question, which it never gets. */
let death: ((worker: Worker) => unknown) | undefined

beforeEach(() => {
  Worker.prototype.postMessage = function (...args) {
    const kill = death
    death = undefined
    if (kill === undefined) post.apply(this, args)
    else kill(this)
  }
})
afterEach(() => {
  Worker.prototype.postMessage = post
})

describe.each(WAITERS)('%s', (_, name, answer, ask) => {
  it.each(Object.entries(DEATHS))('tells all who wait when it %s', async (_, kill) => {
    expect(await ask()).toBe(answer)
    death = kill
    const asking = await Promise.allSettled(Array.from({ length: 9 }, () => ask()))
    expect(asking[0]).toMatchObject({
      status: 'rejected',
      reason: { code: 'E_FAILED', message: `${name} has ended` },
    })
    // One that asks later has another one already.
    for (const result of asking) {
      if (result.status === 'fulfilled') expect(result.value).toBe(answer)
      else expect(result.reason).toMatchObject({ code: 'E_FAILED' })
    }
    expect(await ask()).toBe(answer)
  })
})
