import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { isMainThread, type MessagePort, Worker } from 'node:worker_threads'
import { asSnapError, type ErrorCode, errnoOf, messageOf, SnapError } from '../errors.ts'

/** What a thread is asked, or told to stop with. */
export type Asked<Question> =
  | { readonly id: number; readonly question: Question }
  | { readonly id: number; readonly stop: true }

/** What comes back for it: how far it is, and then an answer, or why there is none. */
export type Answered<Answer> =
  | { readonly id: number; readonly report: number }
  | { readonly id: number; readonly answer: Answer }
  | { readonly id: number; readonly failure: Failure }

/** A {@link SnapError} on its way from one thread to another. */
export interface Failure extends Pick<SnapError, 'message' | 'hint' | 'retryable'> {
  readonly code: ErrorCode
}

interface Waiter<Answer> {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
  readonly onReport?: Report | undefined
}

/** So long, in ms, work that was told to stop is waited for: it may wait for a disk. */
const STOP_MS = 10_000

/** Told how far something is. */
export type Report = (done: number) => void

/**
 * A thread that answers questions, in any order. The process does not end before all are answered, and does not go on for the
 * thread alone.
 */
export class Thread<Question, Answer> {
  readonly #name: string
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiter<Answer>>()
  #ids = 0
  #failure: SnapError | undefined

  /**
   * @param name what it does, for messages: `the thread that ...`
   * @param program where its program is, or the text of it: it gets {@link Asked} and posts {@link Answered}
   * @param workerData for the program
   */
  constructor(name: string, program: URL | string, workerData?: unknown) {
    this.#name = name
    const isText = typeof program === 'string'
    this.#worker = new Worker(program, { eval: isText, workerData, execArgv: [] })
    this.#worker.on('message', (answered: Answered<Answer>) => this.#take(answered))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(undefined))
    this.#worker.unref()
  }

  /** True if it answers nothing any more. */
  get hasDied(): boolean {
    return this.#failure !== undefined
  }

  /**
   * Asks, and waits for the answer or for `signal`, whatever is first.
   * @throws SnapError what the program threw; `E_FAILED` if the thread has died
   */
  async ask(question: Question, signal?: AbortSignal): Promise<Answer> {
    return await this.#request(question, { signal }, (id) =>
      this.#settle(id)?.reject(signal?.reason),
    )
  }

  /**
   * As {@link ask}, of work that changes something: it is told when `signal` ends it, and then waited for as long as it may take
   * to stop.
   * @param onReport told what the program reports
   */
  async work(
    question: Question,
    { signal, onReport }: { readonly signal: AbortSignal; readonly onReport: Report },
  ): Promise<Answer> {
    let deadline: NodeJS.Timeout | undefined
    const stop = (id: number) => {
      this.#worker.postMessage({ id, stop: true })
      deadline = setTimeout(() => this.#settle(id)?.reject(signal.reason), STOP_MS)
    }
    try {
      return await this.#request(question, { signal, onReport }, stop)
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      clearTimeout(deadline)
    }
  }

  async #request(
    question: Question,
    { signal, onReport }: { readonly signal: AbortSignal | undefined; readonly onReport?: Report },
    abort: (id: number) => void,
  ): Promise<Answer> {
    if (this.#failure !== undefined) throw this.#failure
    signal?.throwIfAborted()
    const id = this.#ids++
    const onAbort = () => abort(id)
    try {
      return await new Promise((resolve, reject) => {
        signal?.addEventListener('abort', onAbort)
        if (this.#waiting.size === 0) this.#worker.ref()
        this.#waiting.set(id, { resolve, reject, onReport })
        this.#worker.postMessage({ id, question })
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #take(answered: Answered<Answer>): void {
    if ('report' in answered) {
      this.#waiting.get(answered.id)?.onReport?.(answered.report)
      return
    }
    const waiter = this.#settle(answered.id)
    if ('answer' in answered) waiter?.resolve(answered.answer)
    else
      waiter?.reject(
        new SnapError(answered.failure.code, answered.failure.message, answered.failure),
      )
  }

  /** Takes who waits for an answer out of those who do; undefined if nobody does. */
  #settle(id: number): Waiter<Answer> | undefined {
    const waiter = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#waiting.size === 0) this.#worker.unref()
    return waiter
  }

  #fail(cause: unknown): void {
    this.#failure ??= endOfThread(this.#name, cause)
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }
}

/** Says why a thread answers nothing any more: it died, or the system refused what it needs to start. */
export function endOfThread(name: string, cause: unknown): SnapError {
  if (errnoOf(cause) !== 'ERR_WORKER_INIT_FAILED')
    return new SnapError('E_FAILED', `${name} has ended`, { cause })
  return new SnapError('E_SOURCE', `${name} cannot be started: ${messageOf(cause)}`, {
    hint: 'raise the limit of open files (ulimit -n)',
    cause,
  })
}

/**
 * Returns what gives a thread: started at the first call, and again at the first after it has died. It gives none where that would
 * not help, on one processor or in a thread, or where there is no such program.
 * @param name as for {@link Thread}
 */
export function threadOnDemand<Question, Answer>(
  name: string,
  program: URL,
): () => Thread<Question, Answer> | undefined {
  let thread: Thread<Question, Answer> | undefined
  return () => {
    if (thread !== undefined && !thread.hasDied) return thread
    thread = undefined
    if (isMainThread && availableParallelism() > 1 && existsSync(program))
      thread = new Thread(name, program)
    return thread
  }
}

/** Who asked: ends the work, and is told how far it is. */
export interface Asker {
  readonly signal: AbortSignal
  readonly report: Report
}

/** The part of {@link Thread} in its program: answers what comes through `port`, one after the other as long as nothing is waited for. */
export function answerQuestions<Question, Answer>(
  port: MessagePort,
  answer: (question: Question, asker: Asker) => Promise<Answer>,
): void {
  const post = (answered: Answered<Answer>) => port.postMessage(answered)
  const stops = new Map<number, AbortController>()
  port.on('message', async (asked: Asked<Question>) => {
    const { id } = asked
    if ('stop' in asked) return stops.get(id)?.abort(new SnapError('E_INTERRUPTED', 'stopped'))
    const stop = new AbortController()
    stops.set(id, stop)
    try {
      const report = (done: number) => post({ id, report: done })
      post({ id, answer: await answer(asked.question, { signal: stop.signal, report }) })
    } catch (error) {
      const { code, message, hint, retryable } = asSnapError(error, 'E_FAILED', 'thread')
      post({ id, failure: { code, message, hint, retryable } })
    } finally {
      stops.delete(id)
    }
  })
}
