import { randomBytes } from 'node:crypto'
import type { HttpClient } from '../client/index.ts'
import { messageOf, SnapError } from '../errors.ts'
import { type Data, quoteName } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import {
  compareUsers,
  done,
  type Forgotten,
  type ForgottenResult,
  type ForgottenState,
  hasForgotten,
  left,
  type PlannedQuery,
  type PlannedUser,
  plannedForgotten,
  type RestoredQuery,
  type RestoredUser,
  settledQuery,
} from './forgotten.ts'
import { writeForgotten } from './forgotten-directory.ts'
import type { PasswordFile } from './password-file.ts'
import type { OpenServer } from './server.ts'
import { expectSame, type HttpPlace } from './server-http.ts'

/** Where it is restored. */
export interface ForgottenPlace {
  readonly server: OpenServer
  /** Found to be the same server before anything was changed; undefined for a directory. */
  readonly http: HttpClient | undefined
  readonly place: HttpPlace | undefined
  /** Gets the passwords of users that are made over HTTP. */
  readonly passwords: PasswordFile | undefined
  readonly signal: AbortSignal
}

/**
 * Makes continuous queries, users and grants that the target lacks, and changes none that it has. What cannot be made is
 * no error: it is in the result, with the reason.
 */
export async function restoreForgotten(
  forgotten: Forgotten,
  place: ForgottenPlace,
): Promise<ForgottenResult> {
  const { server, http, signal } = place
  if (server.directory !== undefined) return await writeForgotten(forgotten, server.directory)
  if (!hasForgotten(forgotten)) return plannedForgotten(forgotten)
  try {
    if (http === undefined) throw new SnapError('E_DESTINATION', 'there is no HTTP API')
    await atDestination(() => expectSame(http, server, { place: place.place ?? {}, signal }))
    const live = await atDestination(() => server.client.metastoreBackup(signal))
    const users = await makeUsers(forgotten.users, live, { ...place, http })
    return { users, continuousQueries: await makeQueries(forgotten.queries, live, http, signal) }
  } catch (error) {
    signal.throwIfAborted()
    return allLeft(forgotten, messageOf(error))
  }
}

function allLeft({ queries, users }: Forgotten, reason: string): ForgottenResult {
  return {
    continuousQueries: queries.flatMap((query) => left(query, query.doubt ?? reason) ?? []),
    users: users.map(({ name, isAdmin }) => ({ name, isAdmin, grants: [], state: 'left', reason })),
  }
}

async function makeQueries(
  queries: readonly PlannedQuery[],
  live: Data,
  http: HttpClient,
  signal: AbortSignal,
): Promise<RestoredQuery[]> {
  const made: RestoredQuery[] = []
  for (const query of queries) {
    const settled = settledQuery(query, live)
    const failure = settled ?? left(query, await tryQuery(http, query.statement, signal))
    made.push(failure ?? done(query, 'created'))
  }
  return made
}

/** Sends a statement. Returns why it failed, if it did. */
async function tryQuery(
  http: HttpClient,
  statement: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await http.query(statement, { signal })
    return undefined
  } catch (error) {
    signal.throwIfAborted()
    return messageOf(error)
  }
}

async function makeUsers(
  users: readonly PlannedUser[],
  live: Data,
  { http, passwords, signal }: ForgottenPlace & { readonly http: HttpClient },
): Promise<RestoredUser[]> {
  const { missing, known } = compareUsers(users, live)
  const secrets = new Map(missing.map(({ name }) => [name, newPassword()]))
  await passwords?.write(missing, secrets)
  const made: RestoredUser[] = []
  for (const user of missing) {
    const { name, isAdmin } = user
    const password = secrets.get(name) ?? ''
    const all = isAdmin ? ' WITH ALL PRIVILEGES' : ''
    const create = `CREATE USER ${quoteName(name)} WITH PASSWORD '${password}'${all}`
    const failure = (await tryQuery(http, create, signal))?.replaceAll(password, '***')
    if (failure === undefined) made.push(await grant(user, 'created', { http, signal }))
    else made.push({ name, isAdmin, grants: [], state: 'left', reason: failure })
  }
  for (const user of known) made.push(await grant(user, 'exists', { http, signal }))
  return made
}

async function grant(
  { name, isAdmin, grants }: PlannedUser,
  state: ForgottenState,
  { http, signal }: { readonly http: HttpClient; readonly signal: AbortSignal },
): Promise<RestoredUser> {
  for (const [i, { database, privilege }] of grants.entries()) {
    const statement = `GRANT ${privilege} ON ${quoteName(database)} TO ${quoteName(name)}`
    const reason = await tryQuery(http, statement, signal)
    if (reason === undefined) continue
    return { name, isAdmin, grants: grants.slice(0, i), state, reason: `${statement}: ${reason}` }
  }
  return { name, isAdmin, grants, state }
}

const PASSWORD_BYTES = 24

function newPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('base64url')
}
