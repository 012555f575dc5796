import { isIPv6 } from 'node:net'
import { HttpClient, type HttpOptions, parseAddress, type QueryRow } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { type Data, listShards } from '../meta/index.ts'
import { parseGoTime } from '../protocol/go-time.ts'
import type { OpenServer } from './server.ts'

/** Where a server's HTTP API is, as far as that was said. */
export interface HttpPlace extends Omit<HttpOptions, 'url'> {
  /** Default: port 8086 of the server's host. */
  readonly url?: string | undefined
}

const DEFAULT_PORT = 8086
/** A shard may be made between the two looks at the server. */
const LOOKS = 3
/** Nobody waits long for an address that was only guessed, in ms. */
const GUESS_DEADLINE_MS = 2000

/**
 * Returns the HTTP API of a server, after it was found to be the same, see {@link expectSame}. Where the URL was not
 * given, a server without any shard proves nothing.
 * @throws SnapError `E_SOURCE` if it is another server, and what {@link HttpClient.query} throws
 */
export async function openHttp(
  server: Pick<OpenServer, 'client' | 'name'>,
  place: HttpPlace,
  signal: AbortSignal,
): Promise<HttpClient> {
  const http = httpOf(server, place)
  const shards = await expectSame(http, server, { place, signal })
  if (place.url !== undefined || shards > 0) return http
  throw otherServer(http, server, 'there are no shards to tell it by')
}

/** Returns the HTTP API that was named, or that of the server's host, unseen. */
export function httpOf({ name }: Pick<OpenServer, 'name'>, place: HttpPlace): HttpClient {
  return new HttpClient({ ...place, url: place.url ?? defaultUrl(name) })
}

/**
 * Compares databases and shards over HTTP with the metastore that comes over the snapshotter port: nothing else is
 * ever sent to another server that happens to listen there. Two servers can be as equal as a server and a restored copy
 * of it: whoever wants to change something must have seen them equal before and after a change of one of them.
 * @returns how many shards they have
 * @throws SnapError `E_SOURCE` if it is another server, and what {@link HttpClient.query} throws
 */
export async function expectSame(
  http: HttpClient,
  server: Pick<OpenServer, 'client' | 'name'>,
  { place, signal }: { readonly place: HttpPlace; readonly signal: AbortSignal },
): Promise<number> {
  const deadline = place.url === undefined ? GUESS_DEADLINE_MS : undefined
  for (let look = 1; ; look++) {
    const data = await server.client.metastoreBackup(signal)
    const rows = await http.query('SHOW DATABASES; SHOW SHARDS', { signal, deadline })
    const shards = rows.filter(({ values }) => 'id' in values)
    const databases = rows.filter(({ values }) => 'name' in values)
    const sameDatabases = isSame(databasesOf(data), databasesIn(databases))
    if (sameDatabases && isSame(shardsOf(data), shardsIn(shards))) return shards.length
    if (look < LOOKS) continue
    throw otherServer(http, server, `it lists other ${sameDatabases ? 'shards' : 'databases'}`)
  }
}

function otherServer(
  { url }: HttpClient,
  { name }: Pick<OpenServer, 'name'>,
  why: string,
): SnapError {
  return new SnapError('E_SOURCE', `${url} is not the server at ${name}: ${why}`, {
    hint: 'give the HTTP API of that server with --http',
  })
}

function defaultUrl(server: string): string {
  const { host } = parseAddress(server)
  return `http://${isIPv6(host) ? `[${host}]` : host}:${DEFAULT_PORT}`
}

function databasesOf({ databases }: Data): string[] {
  return databases.map(({ name }) => name).sort()
}

function databasesIn(rows: readonly QueryRow[]): string[] {
  return rows.map(({ values }) => String(values['name'])).sort()
}

function isSame(expected: readonly string[], got: readonly string[]): boolean {
  return expected.length === got.length && expected.every((shard, i) => shard === got[i])
}

const NANOSECONDS = 1_000_000_000n

/** `SHOW SHARDS` says whole seconds, rounded down; a first group that begins before 1677-09-21 wraps in the metastore. */
function secondOf(time: bigint): bigint {
  const stored = BigInt.asIntN(64, time)
  return (stored - (((stored % NANOSECONDS) + NANOSECONDS) % NANOSECONDS)) / NANOSECONDS
}

function shardsOf(data: Data): string[] {
  return listShards(data)
    .map(({ database, retentionPolicy, group, shard }) =>
      JSON.stringify([
        database,
        retentionPolicy,
        ...[shard.id, group.id, secondOf(group.startTime), secondOf(group.endTime)].map(String),
      ]),
    )
    .sort()
}

function shardsIn(rows: readonly QueryRow[]): string[] {
  return rows
    .map(({ values }) => {
      const times = ['start_time', 'end_time'].map((column) =>
        secondOf(parseGoTime(String(values[column]))),
      )
      const names = [values['database'], values['retention_policy']]
      return JSON.stringify([
        ...names,
        ...[values['id'], values['shard_group'], ...times].map(String),
      ])
    })
    .sort()
}
