import { SnapError } from '../errors.ts'
import { encodeGoJson } from './go-json.ts'

/** The answer to a database or retention policy info request, with the field name of influxd's JSON. */
export interface Response {
  /** The shards' directories below the data directory: `database/policy/id`, with `\` on Windows servers before 1.12. */
  readonly Paths: readonly string[]
  /** The state of each of them, in the same order: only from our own service, and only if it was asked for. */
  readonly States?: readonly PathState[] | undefined
}

/** Digests of the files of a shard, in hex (docs/protocol.md); empty ones are of no shard. */
export interface PathState {
  readonly State: string
  readonly Shape: string
}

/** Encodes an answer as Go's encoder prints it: no paths are `null`, and a newline ends it. */
export function encodeResponse(response: Response): Uint8Array {
  const Paths = response.Paths.length === 0 ? null : response.Paths
  const States = response.States?.map(({ State, Shape }) => ({ State, Shape }))
  return Buffer.from(`${encodeGoJson({ Paths, ...(States && { States }) })}\n`)
}

function isPaths(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((path) => typeof path === 'string')
}

/**
 * Decodes the whole answer to an info request.
 * @throws SnapError `E_CUT` if it ends early, `E_PROTOCOL` if it is not such an answer
 */
export function decodeResponse(bytes: Uint8Array): Response {
  const text = Buffer.from(bytes).toString('utf8')
  const json = parseAnswer(text)
  const { Paths, States } = { Paths: 0, States: undefined, ...asObject(json) }
  if (Paths === null) return { Paths: [] }
  if (isPaths(Paths)) {
    if (States === undefined) return { Paths }
    if (isStates(States, Paths.length)) return { Paths, States }
  }
  throw new SnapError(
    'E_PROTOCOL',
    `answer: expected {"Paths":[...]}, got ${JSON.stringify(text.slice(0, 100))}`,
  )
}

function asObject(value: unknown): { readonly Paths?: unknown; readonly States?: unknown } {
  return typeof value === 'object' && value !== null ? value : {}
}

function isStates(value: unknown, count: number): value is readonly PathState[] {
  return Array.isArray(value) && value.length === count && value.every(isState)
}

function isState(value: unknown): value is PathState {
  if (typeof value !== 'object' || value === null) return false
  if (!('State' in value && 'Shape' in value)) return false
  return typeof value.State === 'string' && typeof value.Shape === 'string'
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // Go's encoder ends with a newline, so an answer that does not was cut.
    if (!text.endsWith('\n')) {
      throw new SnapError('E_CUT', `answer: JSON ends after ${text.length} characters`, {
        cause,
        retryable: true,
      })
    }
    const start = JSON.stringify(text.slice(0, 100))
    throw new SnapError('E_PROTOCOL', `answer: expected JSON, got ${start}`, { cause })
  }
}
