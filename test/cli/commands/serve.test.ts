import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Client } from '../../../src/client/index.ts'
import { makeDirectory, type SampleDirectory } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { treeOf } from '../../helpers/tree.ts'
import { expectCode, finish, finishJson, snap, worldOf } from './snap.ts'

/** Runs `snap serve` with `words` until it is stopped. */
async function serving(words: readonly string[], env = {}) {
  const context = await worldOf(['serve', '--bind', '127.0.0.1:0', ...words], env)
  const running = words.includes('--json') ? finishJson(context) : finish(context)
  const stop = async (signal = 'SIGTERM') => {
    context.signals.emit(signal)
    return await running
  }
  onTestFinished(async () => void (await stop()))
  const pattern = /serving (.*) on (\S+), (\S+)\n/
  const match = await vi.waitFor(
    () => pattern.exec(context.stderr.text) ?? expect.fail(context.stderr.text),
    20_000,
  )
  const [, directory = '', host = '', mode = ''] = match
  return { context, running, directory, host, mode, stop }
}

const flagsOf = ({ flags }: SampleDirectory) => [...flags]

describe('snap serve', () => {
  it('serves a data directory until SIGTERM, then ends with 0', async () => {
    const directory = await makeDirectory()
    const before = await treeOf(directory.root)
    const served = await serving(flagsOf(directory))
    expect(served).toMatchObject({ directory: join(directory.root, 'data'), mode: 'read-only' })
    const { databases } = await new Client(served.host).metastoreBackup()
    expect(databases.map(({ name }) => name)).toContain('two words')
    const { code, stdout, stderr } = await served.stop()
    expect([code, stdout]).toEqual([0, 'stopped\n'])
    expect(stderr).toContain('MetastoreBackup: answered, ')
    expect(stderr).toContain('stopping: no new connections, running requests may end\n')
    expect(await treeOf(directory.root)).toEqual(before)
  })

  it('says as JSON where it was', async () => {
    const directory = await makeDirectory()
    const served = await serving([...directory.flags, '--json', '--quiet'].slice(0, -1))
    const { code, stdout } = await served.stop('SIGINT')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      address: served.host,
      directory: served.directory,
    })
  })

  it('lets a request that runs end first', async () => {
    const { host, stop, context } = await serving(flagsOf(await makeDirectory()))
    const socket = connect(Number(host.split(':')[1]), '127.0.0.1')
    await once(socket, 'connect')
    // Half of a request: the rest comes after the signal.
    socket.write('\x03\x01{')
    await sleep(50)
    const stopped = stop()
    await vi.waitFor(() => expect(context.stderr.text).toContain('stopping'), 20_000)
    socket.write('}\n')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk)
    expect(Buffer.concat(chunks).length).toBeGreaterThan(100)
    expect((await stopped).code).toBe(0)
  })

  it('breaks one that goes on for longer than it may', async () => {
    const words = ['--drain-timeout', '100ms', ...(await makeDirectory()).flags]
    const { host, stop } = await serving(words)
    const socket = connect(Number(host.split(':')[1]), '127.0.0.1')
    await once(socket, 'connect')
    socket.write('\x03\x01{')
    await sleep(50)
    const broken = once(socket, 'close').catch(() => {})
    socket.on('error', () => {})
    expect((await stop()).code).toBe(0)
    await broken
  })

  it('takes the directories from influxdb.conf and variables, as influxd does', async () => {
    const { root } = await makeDirectory()
    const env = {
      INFLUXDB_DATA_DIR: join(root, 'data'),
      INFLUXDB_DATA_WAL_DIR: join(root, 'wal'),
      INFLUXDB_META_DIR: join(root, 'meta'),
    }
    const served = await serving([], env)
    expect(served.directory).toBe(join(root, 'data'))
  })

  it('takes no more connections than it may', async () => {
    const words = ['--max-connections', '1', '--mode', 'read-write']
    const { host, context } = await serving([...words, ...(await makeDirectory()).flags])
    const port = Number(host.split(':')[1])
    const first = connect(port, '127.0.0.1')
    first.on('error', () => {})
    await once(first, 'connect')
    // An upload to shard 10 that does not end.
    first.write(Buffer.from([3, 7, 0, 0, 0, 0, 0, 0, 0, 10]))
    await sleep(200)
    const second = connect(port, '127.0.0.1')
    second.on('error', () => {})
    await new Promise((resolve) => second.on('close', resolve))
    first.destroy()
    expect(context.stderr.text).toMatch(/refused, 1 connections? /)
  })

  it('refuses changes unless it was told otherwise', async () => {
    const set = join(await tempDir('target'), 'sets')
    const { flags } = await makeDirectory()
    await expectCode(0, 'backup', ...flags, set)
    const directory = await makeDirectory({ other: {} })
    const { host, context } = await serving(flagsOf(directory))
    await expectCode(15, 'restore', '--host', host, set)
    expect(context.stderr.text).toContain('refused: open for reading only')
    const other = await serving(['--mode', 'read-write', ...flagsOf(await makeDirectory({}))])
    expect(other.mode).toBe('read-write')
    await expectCode(0, 'restore', '--host', other.host, set)
  })

  it('is alone with what it may change', async () => {
    const directory = await makeDirectory()
    const words = ['--mode', 'read-write', ...directory.flags]
    await serving(words)
    const { error } = await expectCode(11, 'serve', '--bind', '127.0.0.1:0', ...words)
    expect(error?.message).toContain('.snap.lock: locked by process')
  })

  it('says when the address is taken, and where else to go', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const bind = `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const directory = await makeDirectory()
    const words = ['--bind', bind, '--mode', 'read-write', ...directory.flags]
    const { error } = await expectCode(1, 'serve', ...words)
    expect(error?.message).toContain(`${bind}: cannot listen`)
    expect(error?.hint).toContain('take another port, as --bind')
    // The lock is let go of.
    await serving(['--mode', 'read-write', ...directory.flags])
  })

  it.each(['0.0.0.0:8088', '192.0.2.1:8088', '[::]:8088', 'example.net:8088', ':8088'])(
    'refuses to listen at %s without a word for it',
    async (bind) => {
      const { error } = await expectCode(2, 'serve', '--bind', bind, '--data-dir', '/nowhere')
      expect(error?.message).toContain('reaches beyond this machine')
      expect(error?.hint).toContain('--insecure-bind')
    },
  )

  it('listens beyond this machine when that is said', async () => {
    const { flags } = await makeDirectory()
    const { host } = await serving(['--bind', '0.0.0.0:0', '--insecure-bind', ...flags])
    expect(host).toMatch(/^0\.0\.0\.0:\d+$/)
  })

  it('listens at IPv6', async () => {
    const { flags } = await makeDirectory()
    const { host } = await serving(['--bind', '[::1]:0', ...flags])
    expect(host).toMatch(/^\[::1\]:\d+$/)
    const { databases } = await new Client(host).metastoreBackup()
    expect(databases.length).toBeGreaterThan(1)
  })

  it('ends with 14 where there is no data directory', async () => {
    const missing = join(await tempDir('missing'), 'data')
    const { code, stderr } = await snap('serve', '--bind', '127.0.0.1:0', '--data-dir', missing)
    expect(code).toBe(14)
    expect(stderr).toContain(missing)
  })
})
