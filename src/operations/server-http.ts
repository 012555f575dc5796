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

/**
 * Returns the HTTP API of a server, after its `SHOW SHARDS` was found equal to the metastore that comes over the
 * snapshotter port: nothing else is ever sent to another server that happens to listen there. Where the URL was not
 * given, a server without any shard proves nothing.
 * @throws SnapError `E_SOURCE` if it is another server, and what {@link HttpClient.query} throws
 */
export async function openHttp(
  { client, name }: Pick<OpenServer, 'client' | 'name'>,
  place: HttpPlace,
  signal: AbortSignal,
): Promise<HttpClient> {
  const http = new HttpClient({ ...place, url: place.url ?? defaultUrl(name) })
  for (let look = 1; ; look++) {
    const data = await client.metastoreBackup(signal)
    const rows = await http.query('SHOW SHARDS', { signal })
    const expected = shardsOf(data)
    const isProof = place.url !== undefined || expected.length > 0
    if (isProof && isSame(expected, shardsIn(rows))) return http
    if (look < LOOKS) continue
    const why = isProof ? 'it lists other shards' : 'there are no shards to tell it by'
    throw new SnapError('E_SOURCE', `${http.url} is not the server at ${name}: ${why}`, {
      hint: 'give the HTTP API of that server with --http',
    })
  }
}

function defaultUrl(server: string): string {
  const { host } = parseAddress(server)
  return `http://${isIPv6(host) ? `[${host}]` : host}:${DEFAULT_PORT}`
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
