import { writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Client } from '../../../src/client/index.ts'
import { type Family, parseExposition } from '../../../src/operations/exposition.ts'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { expectCode, finishJson, worldOf } from './snap.ts'
import { newTarget } from './targets.ts'

/** Runs `snap serve --metrics` with `words` until it is stopped. */
async function serving(...words: readonly string[]) {
  const { flags } = await makeDirectory()
  const ports = ['--bind', '127.0.0.1:0', '--metrics', '127.0.0.1:0']
  const context = await worldOf(['serve', ...ports, ...flags, ...words, '--json'])
  const running = finishJson(context)
  const stop = async () => {
    context.signals.emit('SIGTERM')
    return await running
  }
  onTestFinished(async () => void (await stop()))
  const said = (pattern: RegExp) =>
    vi.waitFor(
      () => pattern.exec(context.stderr.text)?.[1] ?? expect.fail(context.stderr.text),
      20_000,
    )
  const url = await said(/metrics on (http:\S+)\n/)
  return { url, host: await said(/serving .* on (\S+),/), stop }
}

/** Asks for the figures and reads them strictly. */
async function scrape(url: string): Promise<Map<string, Family>> {
  const response = await fetch(url)
  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ])
  const families = parseExposition(await response.text(), url)
  return new Map(families.map((family) => [family.name, family]))
}

function figure(families: Map<string, Family>, name: string, labels = {}): number | undefined {
  const samples = families.get(name)?.samples ?? []
  return samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value
}

describe('snap serve --metrics', () => {
  it('counts connections, requests by type and result, bytes and seconds', async () => {
    const { url, host, stop } = await serving()
    const before = await scrape(url)
    expect(figure(before, 'snap_serve_connections_total')).toBe(0)
    expect(figure(before, 'snap_serve_connections_refused_total', { reason: 'full' })).toBe(0)
    expect(before.get('snap_serve_build_info')?.samples[0]?.labels).toMatchObject({
      mode: 'read-only',
    })
    expect(before.has('process_resident_memory_bytes')).toBe(true)
    const client = new Client(host)
    const { Paths } = await client.databaseInfo('', AbortSignal.timeout(10_000))
    const [database = '', retentionPolicy = '', id = ''] = (Paths[0] ?? '').split('/')
    const shard = { database, retentionPolicy, shardId: BigInt(id) }
    let bytes = 0
    for await (const chunk of client.shardBackup(shard, AbortSignal.timeout(10_000)))
      bytes += chunk.length
    await vi.waitFor(async () => {
      const after = await scrape(url)
      const answered = (type: string) => ({ type, result: 'answered' })
      expect(figure(after, 'snap_serve_requests_total', answered('DatabaseInfo'))).toBe(1)
      expect(figure(after, 'snap_serve_requests_total', answered('ShardBackup'))).toBe(1)
      expect(figure(after, 'snap_serve_sent_bytes_total', { type: 'ShardBackup' })).toBe(bytes)
      expect(after.get('snap_serve_request_seconds')?.type).toBe('histogram')
      expect(figure(after, 'snap_serve_connections_total')).toBe(2)
      expect(figure(after, 'snap_serve_connections_open')).toBe(0)
    }, 20_000)
    const { document } = await stop()
    expect(`http://${document.metricsAddress}/metrics`).toBe(url)
  })

  it('serves the figures of runs too, as long as they can be read', async () => {
    const runs = join(await tempDir('metrics'), 'snap.prom')
    const { url } = await serving('--metrics-file', runs)
    expect((await scrape(url)).has('snap_last_run_timestamp_seconds')).toBe(false)
    const { flags } = await makeDirectory()
    await expectCode(0, 'backup', ...flags, '--metrics-file', runs, await newTarget())
    const families = await scrape(url)
    expect(families.get('snap_runs_total')?.samples).toMatchObject([
      { labels: { command: 'backup' }, value: 1 },
    ])
    expect(families.has('snap_serve_build_info')).toBe(true)
    await writeFile(runs, 'rubbish')
    expect((await scrape(url)).has('snap_runs_total')).toBe(false)
  })

  it('counts what fails', async () => {
    const { url, host } = await serving()
    const port = Number(host.split(':')[1])
    const upload = connect(port, '127.0.0.1')
    upload.on('error', () => {})
    upload.write(Buffer.from([3, 7, 0, 0, 0, 0, 0, 0, 0, 10]))
    upload.end()
    upload.resume()
    await new Promise((resolve) => upload.on('close', resolve))
    const nonsense = connect(port, '127.0.0.1')
    nonsense.end('GET / HTTP/1.0\r\n\r\n')
    nonsense.on('error', () => {})
    await new Promise((resolve) => nonsense.on('close', resolve))
    await vi.waitFor(async () => {
      const families = await scrape(url)
      // A refused upload has to be broken off: its end would say that it succeeded.
      const labels = { type: 'ShardUpdate', result: 'failed' }
      expect(figure(families, 'snap_serve_requests_total', labels)).toBe(1)
      const failed = { type: 'none', result: 'failed' }
      expect(figure(families, 'snap_serve_requests_total', failed)).toBe(1)
    }, 20_000)
  })

  it('serves /metrics and /healthz, and nothing else', async () => {
    const { url } = await serving()
    const at = async (path: string, init = {}) => await fetch(new URL(path, url), init)
    expect(await (await at('/healthz')).text()).toBe('ok\n')
    expect(await (await at('/metrics?x=1')).text()).toContain('snap_serve_build_info')
    expect((await at('/')).status).toBe(404)
    expect((await at('/metrics/../etc/passwd')).status).toBe(404)
    const post = await at('/metrics', { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const head = await at('/metrics', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const long = await at('/metrics', { headers: { x: 'y'.repeat(9000) } })
    expect(long.status).toBe(431)
  })

  it('listens for this machine alone unless it is told otherwise', async () => {
    const words = ['serve', '--data-dir', '/nowhere', '--metrics', '0.0.0.0:0']
    const { error } = await expectCode(2, ...words)
    expect(error?.message).toContain('--metrics 0.0.0.0:0 reaches beyond this machine')
  })

  it('says when its address is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const bind = `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const { flags } = await makeDirectory()
    const words = ['--bind', '127.0.0.1:0', '--metrics', bind, ...flags]
    const { error } = await expectCode(1, 'serve', ...words)
    expect(error).toMatchObject({ hint: 'choose another address with --metrics' })
    expect(error?.message).toContain(`${bind}: cannot listen`)
  })
})
