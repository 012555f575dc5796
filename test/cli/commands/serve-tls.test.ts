import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Client } from '../../../src/client/index.ts'
import {
  type Authority,
  type Certificate,
  describeWithOpenssl,
  makeAuthority,
} from '../../helpers/certificates.ts'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { emptyStore, serve } from '../../service/harness.ts'
import { expectCode, finish, finishJson, worldOf } from './snap.ts'

const TOKEN = 'c2VjcmV0LW9mLXRoZS10ZXN0cw'

describeWithOpenssl('snap with TLS', () => {
  let authority: Authority
  let server: Certificate
  let backup: Certificate
  let tokenFile: string
  let wrongToken: string

  beforeAll(async () => {
    authority = await makeAuthority()
    server = await authority.certify('server')
    backup = await authority.certify('backup')
    const dir = await tempDir('tokens')
    tokenFile = join(dir, 'token')
    wrongToken = join(dir, 'wrong')
    await writeFile(tokenFile, `# one\n${TOKEN}\n`, { mode: 0o600 })
    await writeFile(wrongToken, 'another-one', { mode: 0o600 })
  })

  const doorFlags = () => ['--tls-cert', server.certFile, '--tls-key', server.keyFile]

  async function serving(words: readonly string[]) {
    const context = await worldOf(['serve', '--bind', '127.0.0.1:0', ...words])
    const running = words.includes('--json') ? finishJson(context) : finish(context)
    const stop = async () => {
      context.signals.emit('SIGTERM')
      return await running
    }
    onTestFinished(async () => void (await stop()))
    const pattern = /serving .* on (\S+) with TLS(?: and (\S+))?, (\S+)\n/
    const match = await vi.waitFor(
      () => pattern.exec(context.stderr.text) ?? expect.fail(context.stderr.text),
      20_000,
    )
    const [, host = '', plain = '', mode = ''] = match
    return { context, host, plain, mode, stop }
  }

  it('backs up, restores and looks, past a door that asks for all there is', async () => {
    const { flags } = await makeDirectory()
    const asks = ['--tls-client-ca', authority.certFile, '--token-file', tokenFile]
    const served = await serving([...flags, ...doorFlags(), ...asks])
    const target = join(await tempDir('target'), 'sets')
    const tls = ['--tls', '--ca', authority.certFile, '--cert', backup.certFile]
    const all = [...tls, '--key', backup.keyFile, '--token-file', tokenFile]
    const { stdout, stderr } = await expectCode(0, 'backup', '--host', served.host, ...all, target)
    const { error } = await expectCode(
      14,
      'backup',
      '--host',
      served.host,
      '--retries',
      '0',
      ...tls,
      ...['--key', backup.keyFile, '--token-file', wrongToken, target],
    )
    expect(error?.hint).toContain('does the server know this token')

    const empty = await makeDirectory({})
    const writable = await serving([
      ...empty.flags,
      ...doorFlags(),
      ...asks,
      '--mode',
      'read-write',
    ])
    await expectCode(0, 'restore', '--host', writable.host, ...all, target)
    const said = [stdout, stderr, served.context.stderr.text, writable.context.stderr.text]
    for (const text of said) expect(text).not.toContain(TOKEN)
    expect(served.context.stderr.text).toContain('("CN=backup"): MetastoreBackup: answered')
    const files = (await readdir(target)).filter((name) => !name.endsWith('.gz'))
    for (const name of files)
      expect(await readFile(join(target, name), 'latin1')).not.toContain(TOKEN)
  })

  it('takes a token from a variable, and the file of the line before it', async () => {
    const { flags } = await makeDirectory()
    const { host } = await serving([...flags, ...doorFlags(), '--token-file', tokenFile])
    const target = join(await tempDir('target'), 'sets')
    const words = [
      'backup',
      '--host',
      host,
      '--tls',
      '--ca',
      authority.certFile,
      '--dry-run',
      '--retries',
      '0',
      target,
    ]
    const inWorld = async (more: readonly string[], env: Record<string, string>) =>
      (await finish(await worldOf([...words, ...more], env))).code
    expect(await inWorld([], { INFLUX_SNAP_TOKEN: TOKEN })).toBe(0)
    expect(await inWorld([], { INFLUX_SNAP_TOKEN_FILE: tokenFile })).toBe(0)
    expect(
      await inWorld([], { INFLUX_SNAP_TOKEN: TOKEN, INFLUX_SNAP_TOKEN_FILE: wrongToken }),
    ).toBe(0)
    expect(await inWorld(['--token-file', wrongToken], { INFLUX_SNAP_TOKEN: TOKEN })).toBe(14)
    expect(await inWorld([], {})).toBe(14)
    expect(await inWorld([], { INFLUX_SNAP_TOKEN: 'not a token' })).toBe(2)
  })

  it('serves the machine itself without all of it, and says as JSON where', async () => {
    const { flags } = await makeDirectory()
    const plainFlags = ['--plain-bind', '127.0.0.1:0', '--token-file', tokenFile]
    const served = await serving([...flags, ...doorFlags(), ...plainFlags])
    const { databases } = await new Client(served.plain).metastoreBackup()
    expect(databases.length).toBeGreaterThan(1)
    const json = await worldOf([
      'serve',
      '--bind',
      '127.0.0.1:0',
      ...flags,
      ...doorFlags(),
      '--json',
    ])
    const running = finishJson(json)
    await vi.waitFor(() => expect(json.stderr.text).toContain('with TLS'), 20_000)
    json.signals.emit('SIGTERM')
    const { document } = await running
    expect(document).toMatchObject({ ok: true, tls: true, mode: 'read-only' })
    expect(document).not.toHaveProperty('plainAddress')
  })

  it('stands in front of another server', async () => {
    const behind = await serve(emptyStore())
    const json = await worldOf([
      'serve',
      '--bind',
      '127.0.0.1:0',
      '--upstream',
      behind.host,
      '--json',
    ])
    const running = finishJson(json)
    const pattern = /serving \S+ on (\S+), read-only\n/
    const [, host = ''] = await vi.waitFor(
      () => pattern.exec(json.stderr.text) ?? expect.fail(json.stderr.text),
      20_000,
    )
    expect((await new Client(host).metastoreBackup()).databases).toEqual([])
    json.signals.emit('SIGTERM')
    const { document } = await running
    expect(document).toMatchObject({ upstream: behind.host, tls: false, address: host })
    expect(document).not.toHaveProperty('directory')
    const { error } = await expectCode(2, 'serve', '--upstream', behind.host, '--data-dir', '/x')
    expect(error?.message).toBe('--upstream cannot be used with --data-dir')
  })

  it('warns of keys that others can read', async () => {
    const { flags } = await makeDirectory()
    const loose = await authority.certify('loose')
    await chmod(loose.keyFile, 0o644)
    const words = ['--tls-cert', loose.certFile, '--tls-key', loose.keyFile]
    const { context } = await serving([...flags, ...words])
    expect(context.stderr.text).toContain(`${loose.keyFile}: mode 644 lets others`)
  })

  it.each([
    [['--bind', '0.0.0.0:0'], 'reaches beyond this machine'],
    [['--bind', '0.0.0.0:0', 'DOOR'], 'reaches beyond this machine'],
    [['--tls-cert', 'x'], '--tls-cert and --tls-key go together'],
    [['--tls-key', 'x'], '--tls-cert and --tls-key go together'],
    [['--token-file', 'x'], '--token-file goes with --tls-cert and --tls-key'],
    [['--tls-client-ca', 'x'], '--tls-client-ca goes with --tls-cert and --tls-key'],
    [['--plain-bind', '127.0.0.1:0'], '--plain-bind goes with --tls-cert'],
    [['--plain-bind', '0.0.0.0:0', 'DOOR'], '--plain-bind 0.0.0.0:0 reaches beyond this machine'],
    [['DOOR', '--token-file', '/missing'], '/missing'],
    [['--tls-cert', '/missing', '--tls-key', '/missing'], '/missing'],
  ])('refuses to listen with %j', async (words, message) => {
    const { flags } = await makeDirectory()
    const all = words.flatMap((word) => (word === 'DOOR' ? doorFlags() : [word]))
    const { error } = await expectCode(2, 'serve', ...flags, ...all)
    expect(error?.message).toContain(message)
  })

  it('listens beyond the machine behind a door that asks for something', async () => {
    const { flags } = await makeDirectory()
    for (const asks of [
      ['--token-file', tokenFile],
      ['--tls-client-ca', authority.certFile],
    ]) {
      const words = [...flags, '--bind', '0.0.0.0:0', ...doorFlags(), ...asks]
      const { host } = await serving(words)
      const socket = connect(Number(host.split(':')[1]), '127.0.0.1')
      await new Promise((resolve) => socket.once('connect', resolve))
      socket.destroy()
    }
  })

  describe('a client', () => {
    it.each([
      [['--ca', 'x'], {}, '--ca goes with --tls'],
      [['--cert', 'x'], {}, '--cert goes with --tls'],
      [['--key', 'x'], {}, '--key goes with --tls'],
      [['--tls-server-name', 'x'], {}, '--tls-server-name goes with --tls'],
      [['--token-file', 'x'], {}, '--token-file goes with --tls'],
      [[], { INFLUX_SNAP_TOKEN: TOKEN }, 'INFLUX_SNAP_TOKEN goes with --tls'],
      [['--tls', '--cert', 'x'], {}, '--cert and --key go together'],
      [['--tls', '--ca', '/missing'], {}, '/missing'],
      [['--tls', '--token-file', '/missing'], {}, '/missing'],
      [['--tls', '--ca', '/dev/null'], {}, '/dev/null: cannot be used for TLS: the file is empty'],
      [['--tls', '--cert', 'SERVER', '--key', 'BACKUP'], {}, 'cannot be used for TLS'],
      [['--tls', '--token-file', '/dev/null'], {}, '/dev/null: there is no token in it'],
    ])('refuses %j %j', async (words, env, message) => {
      const paths: Record<string, string> = { SERVER: server.certFile, BACKUP: backup.keyFile }
      const all = words.map((word) => paths[word] ?? word)
      const world = await worldOf(['backup', ...all, '/nowhere'], env)
      const { code, stderr } = await finish(world)
      expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
      expect(stderr).not.toContain(TOKEN)
    })
  })
})
