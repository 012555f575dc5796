import { readdirSync, readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { beforeAll, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import {
  type Authority,
  type Certificate,
  describeWithOpenssl,
  makeAuthority,
} from '../helpers/certificates.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

const COUNT = process.env['SLOW'] === '1' ? 10_000 : 500
const AT_ONCE = 40
/** Node's heap is collected when it pleases; a leak of what one connection holds would be far more than this. */
const SLACK_BYTES = 64 * 1024 * 1024

type Hostile = (ports: { readonly tls: number; readonly plain: number }) => Promise<void>

function open(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  socket.resume()
  return socket
}

async function closed(socket: Socket, ms: number): Promise<void> {
  const over = new AbortController()
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await Promise.race([gone, delay(ms, undefined, { signal: over.signal }).catch(() => {})])
  over.abort()
  socket.destroy()
}

const sending =
  (where: 'tls' | 'plain', bytes: string, end: 'fin' | 'rst' | 'none'): Hostile =>
  async (ports) => {
    const socket = open(ports[where])
    if (end === 'fin') socket.end(Buffer.from(bytes, 'latin1'))
    else socket.write(Buffer.from(bytes, 'latin1'))
    if (end === 'rst') {
      await delay(5)
      socket.resetAndDestroy()
    }
    await closed(socket, 100)
  }

const trickling =
  (where: 'tls' | 'plain', bytes: string): Hostile =>
  async (ports) => {
    const socket = open(ports[where])
    for (const byte of Buffer.from(bytes, 'latin1')) {
      socket.write(Uint8Array.of(byte))
      await delay(5)
    }
    await closed(socket, 20)
  }

const inTls =
  (text: string, leave: boolean): Hostile =>
  async ({ tls }) => {
    const socket = connectTls({
      ...{ port: tls, host: '127.0.0.1', rejectUnauthorized: false },
      ALPNProtocols: ['snap/1'],
    })
    socket.on('error', () => {})
    socket.resume()
    socket.write(Buffer.from(text, 'latin1'))
    if (leave) setTimeout(() => socket.destroy(), 8)
    await closed(socket, 300)
  }

const HELLO = `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'x'.repeat(200)}`
const PEERS: readonly Hostile[] = [
  sending('plain', '', 'fin'),
  sending('plain', '', 'none'),
  sending('plain', '\x03\x03{"BackupData', 'fin'),
  sending('plain', '\x03\x03{"BackupData', 'rst'),
  sending('plain', '\x03\x06{"UploadSize":9223372036854775807}\n', 'none'),
  sending('plain', '\x03\x06{"UploadSize":60000000}\n12345', 'rst'),
  sending('plain', `\x03\x07\0\0\0\0\0\0\0\x0a${'x'.repeat(3000)}`, 'none'),
  sending('plain', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'none'),
  sending('plain', '\x03\x00{"ShardID":10}\n', 'rst'),
  sending('plain', `\x03\x03{"x":"${'y'.repeat(70_000)}`, 'none'),
  trickling('plain', '\x03\x03{"Backup'),
  sending('tls', '', 'none'),
  sending('tls', HELLO, 'rst'),
  sending('tls', HELLO, 'none'),
  sending('tls', '\x03\x03{}\n', 'none'),
  sending('tls', 'SSH-2.0-OpenSSH_9.6\r\n', 'none'),
  trickling('tls', HELLO.slice(0, 12)),
  inTls('Bearer wrong\n\x03\x03{}\n', false),
  inTls('Bearer ', true),
  inTls('x'.repeat(9000), false),
]

/** Open descriptors and resident bytes of a process. */
function usageOf(pid: number) {
  const [, pages = '0'] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, bytes: Number(pages) * 4096 }
}

describeWithOpenssl('snap serve under hostile connections', () => {
  let authority: Authority
  let server: Certificate

  beforeAll(async () => {
    authority = await makeAuthority()
    server = await authority.certify('server')
  })

  it.runIf(process.platform === 'linux')(
    `is after ${COUNT} of them as it was before, and answers good clients meanwhile`,
    async () => {
      const { flags } = await makeDirectory()
      const tokenFile = join(await tempDir('token'), 'token')
      await writeFile(tokenFile, 'good-token', { mode: 0o600 })
      const { running, host, stop } = await startServe([
        ...[...flags, '--tls-cert', server.certFile, '--tls-key', server.keyFile],
        ...['--token-file', tokenFile, '--plain-bind', '127.0.0.1:0'],
      ])
      const [, plainHost = ''] = await running.until(/with TLS and (\S+), read-only/)
      const ports = { tls: Number(host.split(':')[1]), plain: Number(plainHost.split(':')[1]) }
      const ca = await readFile(authority.certFile)
      const good = [
        new Client(host, { tls: { ca }, token: 'good-token' }),
        new Client(plainHost),
      ] as const
      const attack = async (count: number) => {
        for (let done = 0; done < count; done += AT_ONCE) {
          const peers = Array.from(
            { length: AT_ONCE },
            (_, at) => PEERS[(done + at) % PEERS.length],
          )
          const attacks = peers.map(async (peer) => await peer?.(ports))
          for (const client of good) {
            expect((await client.databaseInfo()).Paths.length).toBeGreaterThan(0)
          }
          await Promise.all(attacks)
        }
      }
      await attack(200)
      const pid = running.pid
      await expect.poll(() => running.output.stderr.length).toBeGreaterThan(0)
      await delay(500)
      const before = usageOf(pid)
      await attack(COUNT)
      await expect
        .poll(() => usageOf(pid).descriptors, { timeout: 20_000 })
        .toBeLessThanOrEqual(before.descriptors)
      expect(usageOf(pid).bytes - before.bytes).toBeLessThan(SLACK_BYTES)
      for (const client of good) expect((await client.databaseInfo()).Paths).not.toEqual([])
      const { stderr } = running.output
      expect(stderr).not.toContain('good-token')
      expect(stderr).not.toMatch(/\n\s+at |Error:|Warning/)
      expect((await stop()).code).toBe(0)
    },
    COUNT * 60 + 60_000,
  )
})
