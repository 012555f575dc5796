import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { encodeUploadOpening } from '../../src/protocol/index.ts'
import { describeWithOpenssl, makeAuthority } from '../helpers/certificates.ts'
import { snapExpecting } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const HOUR = 3_600_000_000_000n
const START = 1_500_000_000_000_000_000n

/** Sends raw bytes; ends its side only if told to. */
async function send(host: string, bytes: Uint8Array, end = false): Promise<Socket> {
  const socket = connect(Number(host.split(':')[1]), '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  if (end) socket.end(bytes)
  else socket.write(bytes)
  return socket
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
}

/** The parts of a portable set without what differs from run to run: the uncompressed archives and the metastore. */
async function contentsOf(dir: string): Promise<Record<string, string>> {
  const parts: [string, string][] = []
  for (const name of await readdir(dir)) {
    const [, suffix = ''] = /^\w+?Z(\..*)$/.exec(name) ?? []
    const bytes = await readFile(join(dir, name))
    if (suffix.endsWith('.tar.gz')) parts.push([suffix, gunzipSync(bytes).toString('hex')])
    else if (suffix === '.meta') parts.push([suffix, bytes.toString('hex')])
  }
  return Object.fromEntries(parts.sort())
}

const CRASH = Buffer.from('\x03\x06{"UploadSize":9223372036854775807}\n', 'latin1')

/** A tar of one file with any name. */
function tarOf(name: string, text: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100)
  header.write('0000644\0', 100)
  header.write(`${text.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const body = Buffer.alloc(Math.ceil(text.length / 512) * 512)
  body.write(text, 'latin1')
  return Buffer.concat([header, body, Buffer.alloc(1024)])
}

describeWithInfluxd('snap serve --upstream, in front of influxd', () => {
  let server: Influxd

  beforeEach(async () => {
    server = await startInfluxd()
    await server.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1h NAME hourly')
    const lines = [0n, 1n, 2n].flatMap((hour) => [
      `m,t=a v=${hour} ${START + hour * HOUR}`,
      `m,t=b text="x${hour}" ${START + hour * HOUR + 5n}`,
    ])
    await server.write(lines, { db: 'd' })
    await server.flush()
  })
  afterEach(async () => {
    await server?.dispose()
  })

  async function door(...words: readonly string[]) {
    const served = await startServe(['--upstream', server.host, ...words])
    onTestFinished(async () => void (await served.stop()))
    return served
  }

  it('gives influxd’s own backup the same archives', async () => {
    const { host } = await door()
    const range = ['-start', '2017-07-14T03:00:00Z', '-end', '2017-07-14T04:30:00Z']
    for (const args of [[], ['-db', 'd'], ['-db', 'd', ...range]]) {
      const [direct, through] = [await tempDir('direct'), await tempDir('through')]
      const first = await stockBackup(['-portable', '-host', server.host, ...args, direct])
      expect(first, first.stderr).toMatchObject({ code: 0 })
      const second = await stockBackup(['-portable', '-host', host, ...args, through])
      expect(second, second.stderr).toMatchObject({ code: 0 })
      const contents = await contentsOf(direct)
      expect(Object.keys(contents).length).toBeGreaterThan(1)
      expect(await contentsOf(through)).toEqual(contents)
    }
  })

  it('lets restores through, of influxd and of snap, if it may be written to', async () => {
    const set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', server.host, set])
    const before = await dumpAll(server, { db: 'd' })
    const { host } = await door('--mode', 'read-write')
    const stock = await stockRestore(['-portable', '-host', host, '-db', 'd', '-newdb', 'e', set])
    expect(stock, stock.stderr).toMatchObject({ code: 0 })
    await snapExpecting(0, ['restore', '--host', host, '--db', 'd', '--newdb', 'f', set])
    await expect.poll(() => dumpAll(server, { db: 'e', dbAs: 'd' })).toEqual(before)
    expect(await dumpAll(server, { db: 'f', dbAs: 'd' })).toEqual(before)
  })

  it('lets none through if not', async () => {
    const set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', server.host, set])
    const { host, running } = await door()
    const to = ['-portable', '-host', host, '-db', 'd', '-newdb', 'e', set]
    expect((await stockRestore(to)).code).not.toBe(0)
    await snapExpecting(15, ['restore', '--host', host, '--db', 'd', '--newdb', 'e', set])
    expect(running.output.stderr).toContain('refused: open for reading only')
    const { databases } = await new Client(server.host).metastoreBackup()
    expect(databases.map(({ name }) => name)).toEqual(['d'])
  })

  it('survives the request that ends influxd', async () => {
    const { host, running } = await door('--mode', 'read-write')
    await closed(await send(host, CRASH))
    expect(running.output.stderr).toMatch(/UploadSize is 9223372036854775807, expected/)
    expect((await new Client(host).databaseInfo()).Paths).toHaveLength(3)
    await closed(await send(server.host, CRASH))
    await expect.poll(() => server.running).toBe(false)
  })

  it('keeps files in their shard that influxd writes elsewhere', async () => {
    const { host, running } = await door('--mode', 'read-write')
    const evil = (name: string) =>
      Buffer.concat([encodeUploadOpening(1n), tarOf(`d/hourly/1/../../../../${name}.tsm`, 'evil')])
    await closed(await send(host, evil('through'), true))
    expect(running.output.stderr).toMatch(/ShardUpdate 1: .*refused: it holds the component \.\./)
    await closed(await send(server.host, evil('direct'), true))
    const outside = (name: string) =>
      ['', '.tmp'].some((suffix) => existsSync(join(server.root, `${name}.tsm${suffix}`)))
    expect([outside('through'), outside('direct')]).toEqual([false, true])
  })

  it('keeps the files of a shard that influxd replaces by others of their name', async () => {
    const { host, running } = await door('--mode', 'read-write')
    const shard = join(server.dirs.data, 'd/hourly/1')
    const names = async () => (await readdir(shard)).filter((name) => name.endsWith('.tsm'))
    const [name = ''] = await names()
    const upload = Buffer.concat([encodeUploadOpening(1n), tarOf(`d/hourly/1/${name}`, 'evil!')])
    await closed(await send(host, upload, true))
    expect(running.output.stderr).toMatch(/ShardUpdate 1: .*5 bytes are no TSM file/)
    const other = await readFile(join(server.dirs.data, 'd/hourly/2', name), 'latin1')
    const sound = Buffer.concat([encodeUploadOpening(1n), tarOf(`d/hourly/1/${name}`, other)])
    await closed(await send(host, sound, true))
    expect(running.output.stderr).toMatch(/ShardUpdate 1: .*the server behind has another one/)
    expect(await names()).toEqual([name])
    await closed(await send(server.host, upload, true))
    expect(await names()).toEqual([])
  })

  it('keeps a shard in use that a stalled upload would take out of it', async () => {
    const { host } = await door('--mode', 'read-write')
    const write = async () => await server.write(`m v=1 ${START}`, { db: 'd' })
    const isBlocked = async () => {
      const written = write().then(() => false)
      written.catch(() => {})
      return await Promise.race([written, sleep(2000, true)])
    }
    const tar = tarOf('d/hourly/1/000000077-000000001.tsm', 'x')
    const stalled = Buffer.concat([encodeUploadOpening(1n), tar.subarray(0, 700)])
    const through = await send(host, stalled)
    await sleep(300)
    await write()
    through.destroy()
    const direct = await send(server.host, stalled)
    await until(isBlocked)
    direct.destroy()
  })

  describeWithOpenssl('with TLS and a token', () => {
    it('serves snap from elsewhere, and influxd’s own tools on the machine itself', async () => {
      const authority = await makeAuthority()
      const { certFile, keyFile } = await authority.certify('server')
      const tokenFile = join(authority.dir, 'token')
      await writeFile(tokenFile, 'a-token-for-the-night', { mode: 0o600 })
      const { host, running } = await door(
        ...['--tls-cert', certFile, '--tls-key', keyFile, '--token-file', tokenFile],
        ...['--plain-bind', '127.0.0.1:0', '--mode', 'read-write'],
      )
      const [, plain = ''] = await running.until(/with TLS and (\S+), /)
      const tls = ['--tls', '--ca', authority.certFile, '--token-file', tokenFile]
      const [ours, stock] = [await tempDir('ours'), await tempDir('stock')]
      await snapExpecting(0, ['backup', '--host', host, ...tls, ours])
      expect((await stockBackup(['-portable', '-host', plain, stock])).code).toBe(0)
      const before = await dumpAll(server, { db: 'd' })
      const restore = ['restore', '--host', host, ...tls, '--db', 'd', '--newdb']
      await snapExpecting(0, [...restore, 'e', ours])
      await snapExpecting(0, [...restore, 'f', stock])
      for (const db of ['e', 'f']) expect(await dumpAll(server, { db, dbAs: 'd' })).toEqual(before)
      expect(running.output.stderr).not.toContain('a-token-for-the-night')
    })
  })

  describe('when influxd is not there', () => {
    it('says so to whoever asks, and goes on when it is', async () => {
      const { host, running } = await door()
      await server.stop()
      await snapExpecting(14, ['backup', '--host', host, '--retries', '0', await tempDir('none')])
      expect(running.output.stderr).toContain('cannot connect')
      await server.start()
      await snapExpecting(0, ['backup', '--host', host, await tempDir('some')])
    })
  })
})
