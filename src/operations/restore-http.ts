import type { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { atDestination } from './at-destination.ts'
import type { Forgotten } from './forgotten.ts'
import { hasForgotten } from './forgotten.ts'
import type { OpenServer } from './server.ts'
import { expectSame, type HttpPlace, httpOf } from './server-http.ts'

/** Which HTTP API is looked for, and what for. */
export interface HttpNeed {
  readonly http?: HttpPlace | undefined
  readonly forgotten: Forgotten
  /** Bytes of the largest metadata that is to be uploaded. */
  readonly metaSize: number
  readonly signal: AbortSignal
}

/**
 * Opens the HTTP API of the server that a restore goes to, before anything is changed. One that was named has to be the
 * right one; at the usual port there may be none, unless there is something that only it can do.
 * @throws SnapError `E_DESTINATION`
 */
export async function openRestoreHttp(
  server: OpenServer,
  { http: place, forgotten, metaSize, signal }: HttpNeed,
): Promise<HttpClient | undefined> {
  if (server.directory !== undefined) return undefined
  const isNeeded = hasForgotten(forgotten)
  if (place === undefined) {
    if (isNeeded) throw missing(forgotten, 'none is named')
    return undefined
  }
  const http = httpOf(server, place)
  let shards: number
  try {
    shards = await atDestination(() => expectSame(http, server, { place, signal }))
  } catch (error) {
    signal.throwIfAborted()
    if (isNeeded && error instanceof SnapError) throw missing(forgotten, error.message, error)
    if (place.url !== undefined) throw error
    return undefined
  }
  // An address that was guessed and has no shards may still be another server's.
  if (place.url !== undefined || shards > 0) await refuseOld(http, signal, metaSize)
  return http
}

/** The first influxd that takes metadata over its snapshotter port, and the first that takes it in more than one read. */
const FIRST = [1, 5, 0]
const FIRST_OF_ANY_SIZE = [1, 8, 10]
/** What older ones take in one read over a fast connection, bytes; 1.6.7 fails from some 128 KiB on. */
const ONE_READ = 64 * 1024

/**
 * Refuses a server that says it is too old. One that says nothing is tried.
 * @param metaSize bytes of the metadata that it is to take
 * @throws SnapError `E_DESTINATION`
 */
export async function refuseOld(
  http: HttpClient,
  signal: AbortSignal,
  metaSize = 0,
): Promise<void> {
  const rows = await http.query('SHOW DIAGNOSTICS', { signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof SnapError) return []
    throw error
  })
  const text = String(rows.find(({ name }) => name === 'build')?.values['Version'] ?? '')
  const version = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number)
  if (version === undefined) return
  if (isBefore(version, FIRST)) throw tooOld(http, text, '1.5 or later')
  if (metaSize > ONE_READ && isBefore(version, FIRST_OF_ANY_SIZE)) {
    throw tooOld(http, text, `1.8.10 or later for metadata of ${metaSize} bytes`)
  }
}

function isBefore(version: readonly number[], first: readonly number[]): boolean {
  const at = first.findIndex((number, i) => number !== version[i])
  return at >= 0 && (version[at] ?? 0) < (first[at] ?? 0)
}

function tooOld({ url }: HttpClient, version: string, expected: string): SnapError {
  return new SnapError(
    'E_DESTINATION',
    `${url} is influxd ${version}, too old for this restore over the network: expected ${expected}`,
    {
      hint: 'stop it and restore into its directories (--data-dir), restore less at a time (--rp, --shard), or upgrade it first',
    },
  )
}

function missing({ queries, users }: Forgotten, why: string, cause?: SnapError): SnapError {
  const isOfQueries = queries.some(({ doubt }) => doubt === undefined)
  const what = [
    ...(isOfQueries ? ['continuous queries'] : []),
    ...(users.length > 0 ? ['users'] : []),
  ]
  const without = [
    ...(isOfQueries ? ['--no-cq goes without continuous queries'] : []),
    ...(users.length > 0 ? ['without --users they stay in the backup'] : []),
  ]
  return new SnapError(
    'E_DESTINATION',
    `${what.join(' and ')} of the backup need the HTTP API of the server: ${why}`,
    { cause, hint: [cause?.hint ?? 'give it with --http', ...without].join('; ') },
  )
}
