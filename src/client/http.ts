import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { collect } from './answer.ts'

/** The HTTP API of an InfluxDB 1.x. */
export interface HttpOptions {
  /** `http://host:8086`, or `https://`, a path before `/query` too. */
  readonly url: string
  readonly user?: string | undefined
  readonly password?: string | undefined
}

/** How one query is sent. */
export interface QueryOptions {
  readonly db?: string | undefined
  /** Unit of times in the answer. Default: RFC 3339 text, which alone keeps every nanosecond. */
  readonly epoch?: 'ns' | 'u' | 'ms' | 's' | undefined
  /** Longest time in ms for the whole answer. Default 30 s. */
  readonly deadline?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** One row of an answer, with what its series says of it. */
export interface QueryRow {
  /** The measurement, or what else InfluxQL calls the series; `''` if it has no name. */
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  /** By column. Integers above 2^53 are rounded, as JSON readers do. */
  readonly values: Readonly<Record<string, unknown>>
}

const DEADLINE_MS = 30_000
/** The longest answer that is read, in bytes. */
const MAX_ANSWER_SIZE = 64 * 1024 * 1024
/** Of an error that is no JSON, so many characters are shown. */
const SHOWN = 200

const seriesSchema = v.object({
  name: v.optional(v.string(), ''),
  tags: v.optional(v.record(v.string(), v.string()), {}),
  columns: v.array(v.string()),
  values: v.optional(v.array(v.array(v.unknown())), []),
  partial: v.optional(v.boolean()),
})

const resultSchema = v.object({
  series: v.optional(v.array(seriesSchema), []),
  partial: v.optional(v.boolean()),
  error: v.optional(v.string()),
})

const answerSchema = v.union([
  v.object({ results: v.array(resultSchema), error: v.optional(v.string()) }),
  v.object({ results: v.optional(v.array(resultSchema), []), error: v.string() }),
])

type Answer = v.InferOutput<typeof answerSchema>

/**
 * Asks an InfluxDB in InfluxQL. Every query is one request of its own, is never tried twice and follows no redirect: what
 * is sent goes to the named server or nowhere.
 */
export class HttpClient {
  /** Without a user or password, for messages. */
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  /** @throws SnapError `E_USAGE` if the URL is none of HTTP, or holds credentials */
  constructor({ url, user, password = '' }: HttpOptions) {
    this.url = checkUrl(url)
    const credentials = Buffer.from(`${user}:${password}`).toString('base64')
    this.#headers = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...(user !== undefined && { authorization: `Basic ${credentials}` }),
    }
  }

  /**
   * Sends statements and returns the rows of all of them.
   * @throws SnapError `E_CONNECT`, `E_TIMEOUT`, `E_PROTOCOL` if it is no InfluxDB that answers, `E_SOURCE` if it
   * refuses, fails, or cuts the answer; what the signal was aborted with
   */
  async query(q: string, options: QueryOptions = {}): Promise<QueryRow[]> {
    let rows: QueryRow[] = []
    for await (const whole of this.#ask({ q }, options)) rows = rowsOf(whole, this.url)
    return rows
  }

  /**
   * Sends statements and returns the rows of all of them as they come, many at a time, whatever limit the server has for
   * the rows of an answer.
   * @throws SnapError as {@link HttpClient.query}
   */
  async *queryRows(q: string, options: QueryOptions = {}): AsyncGenerator<QueryRow[]> {
    for await (const part of this.#ask({ q, chunked: 'true' }, options)) {
      yield rowsOf(part, this.url, 'in parts')
    }
  }

  async *#ask(form: Record<string, string>, options: QueryOptions): AsyncGenerator<Answer> {
    const { db, epoch, deadline = DEADLINE_MS, signal } = options
    const body = new URLSearchParams({ ...form, ...(db && { db }), ...(epoch && { epoch }) })
    const timeout = AbortSignal.timeout(deadline)
    const stop = signal ? AbortSignal.any([signal, timeout]) : timeout
    try {
      const { status, lines } = await this.#post(`${this.url}/query`, body, stop)
      for await (const line of lines) yield this.#decode(status, line)
    } catch (error) {
      signal?.throwIfAborted()
      if (timeout.aborted) throw this.#late(deadline)
      throw error instanceof SnapError ? error : this.#unreachable(error)
    }
  }

  /** Sends a request. An answer in parts has one in each line; others are one line, or no answer of InfluxDB. */
  async #post(url: string, body: URLSearchParams, signal: AbortSignal) {
    const answer = await send(url, { body: body.toString(), headers: this.#headers, signal })
    const status = answer.statusCode ?? 0
    const tooLong = () =>
      new SnapError('E_PROTOCOL', `${this.url}: answer of more than ${MAX_ANSWER_SIZE} bytes`)
    if (body.has('chunked') && status < 300) {
      return { status, lines: linesOf(answer, MAX_ANSWER_SIZE, tooLong) }
    }
    return { status, lines: [await collect(answer, MAX_ANSWER_SIZE, tooLong)] }
  }

  #decode(status: number, bytes: Uint8Array): Answer {
    const text = Buffer.from(bytes).toString()
    const answer = parseAnswer(text)
    if (status === 401 || status === 403) {
      const said = answer?.error ?? 'not authorized'
      throw new SnapError('E_SOURCE', `${this.url}: HTTP ${status}: ${said}`, {
        hint: 'give an admin with --http-user, and the password in INFLUX_SNAP_HTTP_PASSWORD or --http-password-file',
      })
    }
    if (status >= 300) {
      const said = answer?.error ?? JSON.stringify(text.slice(0, SHOWN))
      const code = answer === undefined ? 'E_PROTOCOL' : 'E_SOURCE'
      throw new SnapError(code, `${this.url}: HTTP ${status}: ${said}`, { hint: HINT })
    }
    if (answer !== undefined) return answer
    const start = JSON.stringify(text.slice(0, SHOWN))
    throw new SnapError('E_PROTOCOL', `${this.url}: not an answer of InfluxDB: ${start}`, {
      hint: HINT,
    })
  }

  #late(deadline: number): SnapError {
    const message = `${this.url}: no answer in ${deadline / 1000} s`
    return new SnapError('E_TIMEOUT', message, { retryable: true })
  }

  #unreachable(error: unknown): SnapError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    const why = messageOf(cause) || errnoOf(cause)
    return new SnapError('E_CONNECT', `${this.url}: cannot ask: ${why}`, {
      cause: error,
      hint: HINT,
    })
  }
}

interface Post {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Sends a request and returns the answer when it begins. To load what is behind `fetch` takes longer than most questions. */
async function send(url: string, { body, ...options }: Post): Promise<IncomingMessage> {
  const { request } = await (url.startsWith('https:') ? import('node:https') : import('node:http'))
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', ...options })
    sent.on('response', resolve)
    sent.on('error', reject)
    sent.end(body)
  })
}

const HINT = 'give the HTTP API of influxd (port 8086 by default) with --http'

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new SnapError('E_USAGE', `${JSON.stringify(text)}: expected http://host:port`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new SnapError('E_USAGE', 'the HTTP URL holds a user or password', {
      hint: 'use --http-user, and INFLUX_SNAP_HTTP_PASSWORD or --http-password-file',
    })
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
}

function parseAnswer(text: string): Answer | undefined {
  try {
    const parsed = v.safeParse(answerSchema, JSON.parse(text))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** Cuts what arrives into lines of limited length. A last one without an end is one too. */
async function* linesOf(
  source: AsyncIterable<Uint8Array>,
  limit: number,
  tooLong: () => SnapError,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const end = chunk.indexOf(LINE_FEED, at)
      const part = chunk.subarray(at, end < 0 ? chunk.length : end)
      size += part.length
      if (size > limit) throw tooLong()
      parts.push(part)
      at += part.length + 1
      if (end < 0) continue
      if (size > 0) yield Buffer.concat(parts)
      parts = []
      size = 0
    }
  }
  if (size > 0) yield Buffer.concat(parts)
}

const LINE_FEED = 0x0a

/** Only an answer `in parts` may say that there is more to come. */
function rowsOf({ results, error }: Answer, url: string, how?: 'in parts'): QueryRow[] {
  const failure = error ?? results.find((result) => result.error !== undefined)?.error
  if (failure !== undefined) throw new SnapError('E_SOURCE', `${url}: ${failure}`)
  const all = results.flatMap(({ series }) => series)
  if (how === undefined && [...results, ...all].some(({ partial }) => partial)) {
    throw new SnapError('E_SOURCE', `${url}: the answer is cut by the server's max-row-limit`)
  }
  return all.flatMap(({ name, tags, columns, values }) =>
    values.map((row) => ({
      name,
      tags,
      values: Object.fromEntries(columns.map((column, i) => [column, row[i]])),
    })),
  )
}
