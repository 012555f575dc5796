import { Agent, request } from 'node:http'

/** One series of an InfluxQL answer. */
export interface Series {
  readonly name: string
  readonly tags?: Readonly<Record<string, string>>
  readonly columns: readonly string[]
  readonly values?: readonly (readonly unknown[])[]
}

export interface QueryOptions {
  readonly db?: string
  /** Unit of the times in the answer. Default: nanoseconds. */
  readonly epoch?: 'ns' | 'u' | 'ms' | 's' | 'm' | 'h'
}

export interface WriteOptions {
  readonly db: string
  readonly rp?: string
  /** Default: nanoseconds. */
  readonly precision?: 'n' | 'u' | 'ms' | 's' | 'm' | 'h'
}

/** Sends InfluxQL and returns the series of all statements. Throws on an HTTP error and on an error inside the answer. */
export async function queryJson(
  url: string,
  q: string,
  options: QueryOptions = {},
): Promise<Series[]> {
  const answer: unknown = JSON.parse(await send(url, q, options, 'application/json'))
  const { results } = answer as { results: { series?: Series[]; error?: string }[] }
  for (const { error } of results) if (error !== undefined) throw new Error(`${q}: ${error}`)
  return results.flatMap(({ series }) => series ?? [])
}

/**
 * Sends InfluxQL and returns the answer as CSV text, in which integers and floats keep every digit (JSON numbers lose
 * integers beyond 2^53 on the way through JavaScript).
 */
export async function queryCsv(
  url: string,
  q: string,
  options: QueryOptions = {},
): Promise<string> {
  return await send(url, q, options, 'application/csv')
}

/** Writes line protocol. Throws on anything but 204, so also on a partial write. */
export async function writeLines(url: string, lines: string, options: WriteOptions): Promise<void> {
  const search = new URLSearchParams({ db: options.db, precision: options.precision ?? 'n' })
  if (options.rp !== undefined) search.set('rp', options.rp)
  const { status, body } = await http(`${url}/write?${search}`, lines, {
    'content-type': 'text/plain',
  })
  if (status !== 204) throw new Error(`write to ${options.db}: ${status} ${body}`)
}

async function send(
  url: string,
  q: string,
  options: QueryOptions,
  accept: string,
): Promise<string> {
  const form = new URLSearchParams({ q, epoch: options.epoch ?? 'ns' })
  if (options.db !== undefined) form.set('db', options.db)
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept }
  const { status, body } = await http(`${url}/query`, form.toString(), headers)
  if (status !== 200) throw new Error(`${q}: ${status} ${body}`)
  return body
}

/** Without keep-alive: a server that was restarted on its port must not be met with a dead connection. */
const agent = new Agent({ keepAlive: false })

function http(
  url: string,
  payload: string,
  headers: Record<string, string>,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: 'POST', headers, agent, timeout: 120_000 },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
        })
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url}`)))
    outgoing.on('error', reject)
    outgoing.end(payload)
  })
}
