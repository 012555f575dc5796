import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { encodeUploadOpening } from '../../src/protocol/index.ts'
import { openDoor } from '../../src/service/index.ts'
import { receive } from '../client/peer.ts'
import { entry, streamOf, tarOf } from '../client/tars.ts'
import {
  type Certificate,
  describeWithOpenssl,
  makeAuthority,
  readPair,
} from '../helpers/certificates.ts'
import { tempDir } from '../helpers/temp.ts'
import { rejected } from '../protocol/thrown.ts'
import { DATABASE, Log, sampleStore, serve } from './harness.ts'

const GOOD = 'Zm9yIHRoZSBuaWdodGx5IGJhY2t1cA=='
const OTHER = 'another-token-0123456789'
const WRONG = 'a-token-of-somebody-else'
const ASK = '\x03\x03{"BackupDatabase":"_internal"}\n'
const ANSWER = '{"Paths":["_internal/monitor/1"]}\n'

describeWithOpenssl('tokens', () => {
  let server: Certificate
  let ca: Buffer

  beforeAll(async () => {
    const authority = await makeAuthority()
    server = await authority.certify('server')
    ca = await readFile(authority.certFile)
  })

  async function serveTokens(text = `# nightly\n${GOOD}\n${OTHER}\n`, options = {}) {
    const tokenFile = join(await tempDir('tokens'), 'tokens')
    await writeFile(tokenFile, text, { mode: 0o600 })
    const doorLog = new Log()
    const door = await openDoor({ ...server, tokenFile }, doorLog)
    const store = sampleStore()
    const served = await serve(store, { door, ...options })
    const tokenClient = (token?: string) => new Client(served.host, { tls: { ca }, token })
    return { ...served, store, tokenFile, doorLog, tokenClient }
  }

  async function openTls(port: number, protocols: readonly string[] = ['snap/1']) {
    const alpn = protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}
    const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca, ...alpn })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    await once(socket, 'secureConnect')
    return socket
  }

  async function exchange(port: number, text: string, protocols?: readonly string[]) {
    const socket = await openTls(port, protocols)
    const answer = receive(socket)
    socket.write(text)
    return (await answer).bytes.toString()
  }

  it('open the door, each of them', async () => {
    const { port, tokenClient } = await serveTokens()
    for (const token of [GOOD, OTHER]) {
      expect(await exchange(port, `Bearer ${token}\n${ASK}`)).toBe(ANSWER)
      expect((await tokenClient(token).databaseInfo()).Paths).toHaveLength(3)
    }
  })

  it('may come in pieces', async () => {
    const { port } = await serveTokens()
    const socket = await openTls(port)
    const answer = receive(socket)
    for (const byte of Buffer.from(`Bearer ${GOOD}\n${ASK}`)) socket.write(Uint8Array.of(byte))
    expect((await answer).bytes.toString()).toBe(ANSWER)
  })

  it.each([
    ['none', `Bearer \n${ASK}`, /it gave no token/],
    ['a wrong one', `Bearer ${WRONG}\n${ASK}`, /its token is none of ours/],
    ['the beginning of one', `Bearer ${GOOD.slice(0, -1)}\n${ASK}`, /none of ours/],
    ['one with something behind it', `Bearer ${GOOD}x\n${ASK}`, /none of ours/],
    ['a comment of the file', `Bearer #\n${ASK}`, /none of ours/],
    ['another scheme', `Basic ${GOOD}\n${ASK}`, /expected a line "Bearer TOKEN"/],
    ['no line', ASK, /expected a line "Bearer TOKEN"/],
    ['a line without end', `Bearer ${'x'.repeat(5000)}`, /no byte 10 within 4096 bytes/],
  ])('refuse a client with %s, and are in no log', async (_what, text, pattern) => {
    const { port, log } = await serveTokens()
    expect(await exchange(port, text)).toBe('')
    expect(await log.line(/error: /)).toMatch(pattern)
    for (const token of [GOOD, WRONG, 'xxx']) expect(log.lines.join('\n')).not.toContain(token)
  })

  it('refuse a client that knows nothing of them', async () => {
    const { port, log } = await serveTokens()
    expect(await exchange(port, ASK, [])).toBe('')
    await log.line(/error: 127.0.0.1:\d+: request: refused: it knows nothing of tokens/)
  })

  it('are waited for no longer than 5 seconds', async () => {
    const { port, log } = await serveTokens(undefined, { limits: { token: 60 } })
    const socket = await openTls(port)
    const answer = receive(socket)
    const trickle = setInterval(() => socket.write('x'), 10)
    await answer
    clearInterval(trickle)
    await log.line(/error: .*no token in 0.06 s/)
  })

  it('reset an upload that comes with a wrong one', async () => {
    const { store, port, tokenClient } = await serveTokens()
    for (let turn = 0; turn < 20; turn++) {
      const tar = streamOf(await tarOf(entry('db/rp/1/x.tsm', 'x')))
      const upload = tokenClient(WRONG).uploadShard(1, 10, DATABASE, '', tar)
      expect((await rejected(upload)).code).toBe('E_DESTINATION')
    }
    const socket = await openTls(port)
    const answer = receive(socket)
    const opening = Buffer.concat([encodeUploadOpening(10n), Buffer.alloc(1024)])
    socket.end(Buffer.concat([Buffer.from(`Bearer ${WRONG}\n`), opening]))
    await answer
    expect(store.changes).toEqual([])
  })

  it('say to a client what its server may have against it', async () => {
    const { tokenClient } = await serveTokens()
    for (const token of [WRONG, undefined]) {
      const error = await rejected(tokenClient(token).databaseInfo())
      expect(error.code).toBe('E_CUT')
      expect(error.hint).toMatch(/does the server know this token/)
      expect(`${error.message} ${error.hint}`).not.toContain(WRONG)
    }
  })

  it('count as they are in the file at the time', async () => {
    const { tokenClient, tokenFile, log } = await serveTokens()
    const works = async (token: string) => {
      const asked = await Promise.allSettled([tokenClient(token).databaseInfo()])
      return asked[0]?.status === 'fulfilled'
    }
    expect([await works(GOOD), await works(WRONG)]).toEqual([true, false])
    await writeFile(tokenFile, WRONG)
    expect([await works(GOOD), await works(WRONG)]).toEqual([false, true])
    await writeFile(tokenFile, '# none\n')
    expect([await works(GOOD), await works(WRONG)]).toEqual([false, false])
    await log.line(/error: .*there is no token in it/)
    await rm(tokenFile)
    expect(await works(WRONG)).toBe(false)
    await writeFile(tokenFile, GOOD)
    expect(await works(GOOD)).toBe(true)
  })

  it('are not needed from a client that sends one all the same', async () => {
    const door = await openDoor(server, new Log())
    const { host } = await serve(sampleStore(), { door })
    const client = new Client(host, { tls: { ca }, token: WRONG })
    expect((await client.databaseInfo()).Paths).toHaveLength(3)
  })

  it('warn about a file that others can read', async () => {
    const tokenFile = join(await tempDir('tokens'), 'tokens')
    await writeFile(tokenFile, GOOD, { mode: 0o644 })
    const log = new Log()
    await openDoor({ ...server, tokenFile }, log)
    expect(log.lines).toContain(
      `warn: ${tokenFile}: mode 644 lets others than its owner at it; make it 600`,
    )
  })

  describe('Client', () => {
    /** A TLS server that is not ours; what it is sent. */
    async function foreignServer(ALPNProtocols?: string[]) {
      const received: Buffer[] = []
      const options = { ...(await readPair(server)), ...(ALPNProtocols && { ALPNProtocols }) }
      const foreign = createServer(options, (socket: TLSSocket) => {
        socket.on('error', () => {})
        socket.on('data', (chunk: Buffer) => {
          received.push(chunk)
          socket.end(ANSWER)
        })
      })
      foreign.listen(0, '127.0.0.1')
      await once(foreign, 'listening')
      onTestFinished(() => void foreign.close())
      const address = foreign.address()
      const port = typeof address === 'object' ? address?.port : 0
      return { host: `127.0.0.1:${port}`, received: () => Buffer.concat(received).toString() }
    }

    it('sends its token before the multiplexer byte', async () => {
      const { host, received } = await foreignServer(['snap/1'])
      await new Client(host, { tls: { ca }, token: GOOD }).databaseInfo()
      expect(received()).toMatch(new RegExp(`^Bearer ${GOOD}\n`))
    })

    it('gives its token to nobody who does not know snap/1', async () => {
      const { host, received } = await foreignServer()
      const error = await rejected(new Client(host, { tls: { ca }, token: GOOD }).databaseInfo())
      expect(error).toMatchObject({ code: 'E_CONNECT', retryable: false })
      expect(error.message).toMatch(/knows no tokens/)
      expect(received()).toBe('')
      const without = new Client(host, { tls: { ca } })
      expect((await without.databaseInfo()).Paths).toEqual(['_internal/monitor/1'])
      expect(received().slice(0, 3)).toBe('\x03\x03{')
    })

    it('never sends a token without TLS, or one that is none', async () => {
      expect(() => new Client('127.0.0.1:1', { token: GOOD })).toThrow('a token goes with TLS')
      const { tokenClient } = await serveTokens()
      const error = await rejected(tokenClient('not a token').databaseInfo())
      expect(error.code).toBe('E_USAGE')
      expect(error.message).not.toContain('not a token')
    })
  })
})
