import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { errnoOf, messageOf, SnapError } from '../errors.ts'
import { collect } from './answer.ts'

/** Which API takes the lines: that of InfluxDB 1.x, of 2, or of 3. Others that speak one of them are named by it. */
export type WriteApi = 'v1' | 'v2' | 'v3'

/** Where lines go, and as whom. */
export interface WriteEndpoint {
  /** The whole URL with its query; `precision` says nanoseconds. */
  readonly url: URL
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
}

/** How lines are sent. */
export interface LineWriterOptions {
  /** Longest time in ms for one request. Default 60 s. */
  readonly deadline?: number | undefined
}

const DEADLINE_MS = 60_000
const MAX_ANSWER_SIZE = 1024 * 1024
/** Of what a server says, so many characters are shown. */
const SHOWN = 300
/** Statuses that may pass: too many requests, and what a server or a proxy says while it has troubles. */
const PASSING = new Set([408, 429, 500, 502, 503, 504])

const compress = promisify(gzip)

/** Returns the URL without what is secret in it: its query and its credentials. */
export function shownUrl(url: URL): string {
  return url.origin + url.pathname
}

/** Sends line protocol to one database. The same lines may be sent again: points are written over themselves. */
export class LineWriter {
  /** For messages. */
  readonly name: string
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #deadline: number

  constructor(
    { url, user, password = '', token }: WriteEndpoint,
    { deadline = DEADLINE_MS }: LineWriterOptions = {},
  ) {
    this.name = shownUrl(url)
    this.#url = url.href
    this.#deadline = deadline
    const credentials = Buffer.from(`${user}:${password}`).toString('base64')
    this.#headers = {
      'content-type': 'text/plain; charset=utf-8',
      'content-encoding': 'gzip',
      ...(user !== undefined && { authorization: `Basic ${credentials}` }),
      ...(token !== undefined && { authorization: `Token ${token}` }),
    }
  }

  /**
   * Sends whole lines, and returns when the server has them.
   * @throws SnapError `E_DESTINATION`; retryable if the server was busy, failed, or could not be reached. What the signal
   * was aborted with
   */
  async write(lines: Uint8Array, signal: AbortSignal): Promise<void> {
    const body = await compress(lines, { level: 1 })
    const timeout = AbortSignal.timeout(this.#deadline)
    const stop = AbortSignal.any([signal, timeout])
    try {
      const request = { method: 'POST', redirect: 'manual', headers: this.#headers } as const
      const response = await fetch(this.#url, { ...request, body, signal: stop })
      const bytes = await collect(response.body ?? [], MAX_ANSWER_SIZE, () => this.#endless())
      if (response.status >= 300) throw this.#refused(response.status, saidIn(bytes))
    } catch (error) {
      signal.throwIfAborted()
      if (timeout.aborted) throw this.#late()
      throw error instanceof SnapError ? error : this.#unreachable(error)
    }
  }

  #refused(status: number, said: string): SnapError {
    const message = `${this.name}: HTTP ${status}: ${said}`
    return new SnapError('E_DESTINATION', message, {
      hint: HINTS[status],
      retryable: PASSING.has(status),
    })
  }

  #late(): SnapError {
    const message = `${this.name}: no answer in ${this.#deadline / 1000} s`
    return new SnapError('E_DESTINATION', message, { retryable: true })
  }

  #endless(): SnapError {
    const message = `${this.name}: answer of more than ${MAX_ANSWER_SIZE} bytes`
    return new SnapError('E_DESTINATION', message)
  }

  #unreachable(error: unknown): SnapError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    const errno = errnoOf(cause)
    const message = `${this.name}: cannot write: ${messageOf(cause) || errno}`
    // Refused connections and unknown hosts fail at once.
    const retryable = errno !== 'ECONNREFUSED' && errno !== 'ENOTFOUND'
    return new SnapError('E_DESTINATION', message, { cause: error, retryable })
  }
}

const HINTS: Readonly<Record<number, string>> = {
  400: 'the message says what the server did not take; a field may have another type there',
  401: 'give who may write there: a user and its password, or a token',
  403: 'this user or token may not write there',
  404: 'there is no such database, policy or bucket, or the URL has another path',
  413: 'a proxy in between takes no bodies of this size (some 256 KiB before compression)',
}

/** Servers answer with JSON that has a message, or with text. */
function saidIn(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString()
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null) {
      const said = Object.entries(parsed).find(([key]) => key === 'error' || key === 'message')
      if (typeof said?.[1] === 'string') return said[1].slice(0, SHOWN)
    }
  } catch {
    // Shown as it is.
  }
  return JSON.stringify(text.slice(0, SHOWN))
}
