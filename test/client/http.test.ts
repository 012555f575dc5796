import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, globalAgent } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { HttpClient } from '../../src/client/index.ts'
import { describeWithOpenssl, makeAuthority, readPair } from '../helpers/certificates.ts'

type Handler = (request: IncomingMessage & { body: string }, response: ServerResponse) => void

const closers: (() => Promise<void>)[] = []

/** Starts an HTTP server that answers every request with `handler`; its requests are in `seen`. */
async function serve(handler: Handler) {
  const seen: { url: string; body: string; authorization: string | undefined }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const { url = '', headers } = request
      seen.push({ url, body, authorization: headers.authorization })
      handler(Object.assign(request, { body }), response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, seen }
}

function json(document: unknown, status = 200): Handler {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document))
  }
}

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const STATS = {
  results: [
    {
      statement_id: 0,
      series: [
        {
          name: 'tsm1_filestore',
          tags: { id: '1' },
          columns: ['diskBytes', 'numFiles'],
          values: [[100, 1]],
        },
        { name: 'tsm1_filestore', tags: { id: '2' }, columns: ['diskBytes'], values: [[7], [8]] },
      ],
    },
    { statement_id: 1 },
    { series: [{ columns: ['name'], values: [['d']] }, { columns: ['empty'] }] },
  ],
}

describe('an HTTP client', () => {
  it('gives the rows of all series of all statements', async () => {
    const { url, seen } = await serve(json(STATS))
    const rows = await new HttpClient({ url }).query("SHOW STATS FOR 'tsm1_filestore'")
    expect(rows).toEqual([
      { name: 'tsm1_filestore', tags: { id: '1' }, values: { diskBytes: 100, numFiles: 1 } },
      { name: 'tsm1_filestore', tags: { id: '2' }, values: { diskBytes: 7 } },
      { name: 'tsm1_filestore', tags: { id: '2' }, values: { diskBytes: 8 } },
      { name: '', tags: {}, values: { name: 'd' } },
    ])
    expect(seen).toEqual([
      { url: '/query', body: 'q=SHOW+STATS+FOR+%27tsm1_filestore%27', authorization: undefined },
    ])
  })

  it('gives the rows of an answer in parts as they come', async () => {
    const part = (value: number, partial: boolean) =>
      JSON.stringify({
        results: [{ series: [{ columns: ['n'], values: [[value]], partial }], partial }],
      })
    const { url, seen } = await serve((_, response) => {
      const [first, last] = [part(1, true), part(2, false)]
      response.write(`${first}\n${last.slice(0, 5)}`)
      setImmediate(() => response.end(last.slice(5)))
    })
    const found: unknown[] = []
    for await (const rows of new HttpClient({ url }).queryRows('SELECT n')) found.push(rows)
    expect(found).toEqual([1, 2].map((n) => [{ name: '', tags: {}, values: { n } }]))
    expect(seen).toMatchObject([{ body: 'q=SELECT+n&chunked=true' }])
  })

  it('fails on an answer in parts that has an error, or a line without end', async () => {
    const rows = async (handler: Handler) => {
      const { url } = await serve(handler)
      for await (const _ of new HttpClient({ url }).queryRows('SELECT n'));
    }
    await expect(rows(json({ results: [{ error: 'no such thing' }] }))).rejects.toMatchObject({
      code: 'E_SOURCE',
    })
    await expect(rows(json({ error: 'error parsing query' }, 400))).rejects.toMatchObject({
      code: 'E_SOURCE',
    })
    const endless: Handler = (_, response) => {
      const more = () => response.write(Buffer.alloc(2 ** 20, 0x20), more)
      more()
    }
    await expect(rows(endless)).rejects.toMatchObject({ code: 'E_PROTOCOL' })
  })

  it('sends database, unit and credentials', async () => {
    const { url, seen } = await serve(json({ results: [] }))
    const http = new HttpClient({ url: `${url}/influx/`, user: 'admin', password: 'p:ä' })
    expect(await http.query('SELECT 1', { db: 'd b', epoch: 'ns' })).toEqual([])
    const authorization = `Basic ${Buffer.from('admin:p:ä').toString('base64')}`
    expect(seen).toEqual([
      { url: '/influx/query', body: 'q=SELECT+1&db=d+b&epoch=ns', authorization },
    ])
    expect(http.url).toBe(`${url}/influx`)
  })

  it.each([
    ['an error of a statement', json({ results: [{ error: 'no such thing' }] }), 'E_SOURCE'],
    ['an error of the request', json({ error: 'error parsing query' }, 400), 'E_SOURCE'],
    ['missing credentials', json({ error: 'unable to parse authentication' }, 401), 'E_SOURCE'],
    ['a refusal without a word', (_, response) => response.writeHead(403).end(), 'E_SOURCE'],
    ['a cut answer', json({ results: [{ series: [], partial: true }] }), 'E_SOURCE'],
    ['a cut series', json({ results: [{ series: [{ columns: [], partial: true }] }] }), 'E_SOURCE'],
    ['another document', json({ name: 'couch' }), 'E_PROTOCOL'],
    ['a page', (_, response) => response.end('<html>'), 'E_PROTOCOL'],
    ['an error page', (_, response) => response.writeHead(502).end('bad gateway'), 'E_PROTOCOL'],
    [
      'a redirect',
      (_, response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
      'E_PROTOCOL',
    ],
    ['an answer that breaks off', (_, response) => breakOff(response), 'E_CONNECT'],
  ] as const satisfies readonly (readonly [string, Handler, string])[])(
    'fails on %s',
    async (_, handler, code) => {
      const { url, seen } = await serve(handler)
      const http = new HttpClient({ url, user: 'admin', password: 'secret word' })
      const error = await http.query('SHOW DATABASES').catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code, message: expect.stringContaining(url) })
      expect(JSON.stringify([String(error), error])).not.toContain('secret word')
      expect(seen.length).toBe(1)
    },
  )

  it('fails on an answer without end', async () => {
    const { url } = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1024 * 1024, 32)));
        response.once('drain', more)
      }
      more()
    })
    await expect(new HttpClient({ url }).query('SHOW DATABASES')).rejects.toMatchObject({
      code: 'E_PROTOCOL',
      message: expect.stringContaining('67108864'),
    })
  })

  it('fails on a silent server, and where nobody listens', async () => {
    const { url } = await serve(() => {})
    const http = new HttpClient({ url })
    const late = http.query('SHOW DATABASES', { deadline: 50 })
    await expect(late).rejects.toMatchObject({ code: 'E_TIMEOUT', retryable: true })
    const nobody = new HttpClient({ url: 'http://127.0.0.1:1' }).query('SHOW DATABASES')
    await expect(nobody).rejects.toMatchObject({
      code: 'E_CONNECT',
      message: expect.stringMatching(/ECONNREFUSED|bad port/),
    })
  })

  it('ends with the reason of its signal', async () => {
    const { url } = await serve(() => {})
    const stop = new AbortController()
    const asked = new HttpClient({ url }).query('SHOW DATABASES', { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(asked).rejects.toThrow('enough')
  })

  it.each(['', 'db1:8086', 'ftp://db1', 'http://admin:secret@db1:8086'])(
    'refuses the URL %j',
    (url) => {
      expect(() => new HttpClient({ url })).toThrow(expect.objectContaining({ code: 'E_USAGE' }))
    },
  )
})

function breakOff(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': '1000' })
  response.write('{"results":', () => response.destroy())
}

describeWithOpenssl('an HTTP API behind TLS', () => {
  it('is asked if its certificate is right, and told nothing otherwise', async () => {
    const authority = await makeAuthority()
    const seen: string[] = []
    const server = createTlsServer(
      await readPair(await authority.certify('server')),
      (request, response) => {
        seen.push(request.url ?? '')
        json(STATS)(Object.assign(request, { body: '' }), response)
      },
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const ask = () => new HttpClient({ url: `https://127.0.0.1:${port}` }).query('SHOW STATS')
    try {
      await expect(ask()).rejects.toMatchObject({ code: 'E_CONNECT' })
      expect(seen).toEqual([])
      globalAgent.options.ca = await readFile(authority.certFile)
      expect(await ask()).toHaveLength(4)
      expect(seen).toEqual(['/query'])
    } finally {
      globalAgent.options.ca = undefined
      server.closeAllConnections()
      server.close()
    }
  })
})
