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
  try {
    await atDestination(() => expectSame(http, server, { place, signal }))
    return http
  } catch (error) {
    signal.throwIfAborted()
    if (isNeeded && error instanceof SnapError) throw missing(forgotten, error.message, error)
    if (place.url !== undefined) throw error
    return undefined
  }
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
