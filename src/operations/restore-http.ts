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
  readonly signal: AbortSignal
}

/**
 * Opens the HTTP API of the server that a restore goes to, before anything is changed. One that was named has to be the
 * right one; at the usual port there may be none, unless there is something that only it can do.
 * @throws SnapError `E_DESTINATION`
 */
export async function openRestoreHttp(
  server: OpenServer,
  { http: place, forgotten, signal }: HttpNeed,
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
  if (place.url !== undefined || shards > 0) await refuseOld(http, signal)
  return http
}

/** The first influxd that takes metadata over its snapshotter port. */
const FIRST = { major: 1, minor: 5 }

/** Throws if the server says that it is too old. One that says nothing is tried. */
async function refuseOld(http: HttpClient, signal: AbortSignal): Promise<void> {
  const rows = await http.query('SHOW DIAGNOSTICS', { signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    if (error instanceof SnapError) return []
    throw error
  })
  const version = String(rows.find(({ name }) => name === 'build')?.values['Version'] ?? '')
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version) ?? []
  if (major === undefined || Number(major) > FIRST.major) return
  if (Number(major) === FIRST.major && Number(minor) >= FIRST.minor) return
  throw new SnapError(
    'E_DESTINATION',
    `${http.url} is influxd ${version}, too old for a restore over the network: expected 1.5 or later`,
    { hint: 'stop it and restore into its directories (--data-dir), or upgrade it first' },
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
    { cause, hint: ['give it with --http', ...without].join('; ') },
  )
}
