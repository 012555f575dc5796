import type { WriteApi, WriteEndpoint } from '../client/index.ts'
import type { PolicyName } from '../formats/points.ts'

/** A database on the network that takes line protocol, as it was given. */
export interface WritePlace extends Omit<WriteEndpoint, 'url'> {
  /** With the path of an API, or without: then it is that of InfluxDB 1.x. What its query names is left as it is. */
  readonly url: URL
  /** Name for the database of 1.x and 3 or the bucket of 2; `{db}` and `{rp}` stand for the names at the source. */
  readonly into?: string | undefined
  /** Organization, for InfluxDB 2. */
  readonly org?: string | undefined
}

const PATHS: readonly (readonly [suffix: string, api: WriteApi])[] = [
  ['/api/v2/write', 'v2'],
  ['/api/v3/write_lp', 'v3'],
]

/** Says which API a URL names. */
export function apiOf({ pathname }: URL): WriteApi {
  return PATHS.find(([suffix]) => pathname.endsWith(suffix))?.[1] ?? 'v1'
}

/**
 * Returns where the points of a policy go: in 1.x a database and policy of the same names, in 2 and 3 the bucket or database
 * `db/rp`, which is what both call an upgraded policy.
 */
export function endpointOf(place: WritePlace, policy: PolicyName): WriteEndpoint {
  const { url: given, into, org, ...credentials } = place
  const url = new URL(given)
  const name = (fallback: string) => fill(into ?? fallback, policy)
  const set = (key: string, value: string) => {
    if (!url.searchParams.has(key)) url.searchParams.set(key, value)
  }
  switch (apiOf(url)) {
    case 'v1':
      if (!url.pathname.endsWith('/write'))
        url.pathname = `${url.pathname.replace(/\/+$/, '')}/write`
      set('db', name('{db}'))
      set('rp', policy.retentionPolicy)
      break
    case 'v2':
      set('bucket', name('{db}/{rp}'))
      if (org !== undefined) set('org', org)
      break
    case 'v3':
      set('db', name('{db}/{rp}'))
      break
  }
  set('precision', apiOf(url) === 'v3' ? 'nanosecond' : 'ns')
  return { ...credentials, url }
}

function fill(template: string, { database, retentionPolicy }: PolicyName): string {
  return template.replace(/\{(db|rp)\}/g, (_, key) => (key === 'db' ? database : retentionPolicy))
}
