import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import type { Run } from '../../src/cli/run.ts'
import { addWatchOptions } from '../../src/cli/watch-options.ts'
import { SnapError } from '../../src/errors.ts'
import { parseExposition } from '../../src/operations/exposition.ts'
import { startReceiver } from '../helpers/http-receiver.ts'
import { tempDir } from '../helpers/temp.ts'
import { contextOf, errorOf, runIn, type TestContext } from './harness.ts'

const SECRET = 'b1946ac9-secret'
const DONE = { document: { set: '20260101T000000Z', bytes: 1234, big: 2n ** 63n } }

type Env = Readonly<Record<string, string>>

/** Runs `snap probe ...words` as a run that others hear of. */
async function probe(
  words: readonly string[],
  env: Env = {},
  work: (run: Run) => Promise<typeof DONE> = async () => DONE,
): Promise<TestContext> {
  const context = contextOf(['probe', ...words], { env: { PATH: process.env.PATH ?? '', ...env } })
  await runIn(context, { declare: addWatchOptions, work })
  return context
}

const failing = async (): Promise<typeof DONE> => {
  throw new SnapError('E_LOCKED', 'held by another run')
}

describe('hooks', () => {
  it('run before and after, in this order, and hear of the run', async () => {
    const log = join(await tempDir('hooks'), 'log')
    const after = `env | grep ^INFLUX_SNAP_RUN_ | sort >> ${log}`
    const words = ['--hook-before', `echo before >> ${log}; echo said`, '--hook-after', after]
    const context = await probe([...words, '/backup/influx'])
    expect([context.exitCode(), context.stderr.text]).toEqual([0, 'hook-before: said\n'])
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => line.replace(/(_MS=)\d+$/, '$1n'))).toEqual([
      'before',
      'INFLUX_SNAP_RUN_BYTES=1234',
      'INFLUX_SNAP_RUN_COMMAND=probe',
      'INFLUX_SNAP_RUN_DURATION_MS=n',
      'INFLUX_SNAP_RUN_ERROR=',
      'INFLUX_SNAP_RUN_EXIT_CODE=0',
      'INFLUX_SNAP_RUN_LOCATION=/backup/influx',
      'INFLUX_SNAP_RUN_RESULT=ok',
      'INFLUX_SNAP_RUN_SET=20260101T000000Z',
      'INFLUX_SNAP_RUN_TARGET=/backup/influx',
    ])
  })

  it('stop the run if the one before fails; the one after still runs', async () => {
    const work = vi.fn(async () => DONE)
    const after = 'echo "$INFLUX_SNAP_RUN_EXIT_CODE $INFLUX_SNAP_RUN_ERROR"'
    const words = ['--hook-before', 'echo no room; exit 7', '--hook-after', after, '--json']
    const context = await probe(words, {}, work)
    expect(work).not.toHaveBeenCalled()
    expect(context.exitCode()).toBe(1)
    expect(errorOf(context)).toMatchObject({
      code: 'E_FAILED',
      message: 'hook-before: ended with 7; it said: no room',
    })
    expect(context.stderr.text).toContain(
      'hook-after: 1 hook-before: ended with 7; it said: no room\n',
    )
    expect(JSON.parse(context.stdout.text)).toMatchObject({ ok: false })
  })

  it('change nothing if the one after fails', async () => {
    const context = await probe(['--hook-after', 'exit 3'])
    expect(context.exitCode()).toBe(0)
    expect(context.stderr.text).toBe('warning: hook-after: ended with 3\n')
  })

  it('hear of a failure, and leave the error as the last line', async () => {
    const words = [
      '--hook-after',
      'echo "$INFLUX_SNAP_RUN_RESULT $INFLUX_SNAP_RUN_EXIT_CODE"',
      '--json',
    ]
    const context = await probe(words, {}, failing)
    expect(context.exitCode()).toBe(11)
    expect(context.stderr.text).toMatch(/^hook-after: E_LOCKED 11\n\{.*\}\n$/)
  })

  it('are ended after their time, with all that they started', async () => {
    const mark = join(await tempDir('hooks'), 'late')
    const script = `(sleep 2; touch ${mark}) & echo started; wait`
    const words = ['--hook-after', script, '--hook-timeout', '1s']
    const context = await probe(words)
    expect(context.exitCode()).toBe(0)
    expect(context.stderr.text).toBe(
      'hook-after: started\nwarning: hook-after: not done after 1 s, and ended; it said: started\n',
    )
    await new Promise((resolve) => setTimeout(resolve, 2200))
    await expect(readFile(mark)).rejects.toThrow('ENOENT')
  })

  it('are killed if they do not heed that', async () => {
    const context = await probe([
      '--hook-before',
      "trap '' TERM; while :; do sleep 1; done",
      '--hook-timeout',
      '100ms',
    ])
    expect(context.exitCode()).toBe(1)
    expect(context.stderr.text).toContain('not done after 0.1 s')
  })

  it('do not wait for what they leave in the background', async () => {
    const begun = Date.now()
    await probe(['--hook-after', 'sleep 20 & echo $!'])
    expect(Date.now() - begun).toBeLessThan(10_000)
  })

  it('end with the run when it is interrupted', async () => {
    const context = contextOf(['probe', '--hook-before', 'echo on; sleep 60'], {
      env: { PATH: process.env.PATH ?? '' },
    })
    const running = runIn(context, { declare: addWatchOptions, work: async () => DONE })
    await vi.waitFor(() => expect(context.stderr.text).toContain('hook-before: on'), 10_000)
    context.signals.emit('SIGTERM')
    await running
    expect(context.exitCode()).toBe(143)
  })

  it('run after an interrupted run', async () => {
    const context = contextOf(['probe', '--hook-after', 'echo $INFLUX_SNAP_RUN_EXIT_CODE'], {
      env: { PATH: process.env.PATH ?? '' },
    })
    const work = async ({ signal }: Run) => {
      context.signals.emit('SIGINT')
      signal.throwIfAborted()
      return DONE
    }
    await runIn(context, { declare: addWatchOptions, work })
    expect(context.exitCode()).toBe(130)
    expect(context.stderr.text).toContain('hook-after: 130\n')
  })

  it('say nothing with --quiet, cut long lines, and end with a signal too', async () => {
    const quiet = await probe(['--hook-before', 'echo x', '--quiet'])
    expect(quiet.stderr.text).toBe('')
    const long = await probe([
      '--hook-before',
      'head -c 5000 /dev/zero | tr "\\0" x; printf "\\nend"',
    ])
    expect(long.stderr.text).toBe(`hook-before: ${'x'.repeat(2000)}\nhook-before: end\n`)
    const killed = await probe(['--hook-before', 'kill -9 $$'])
    expect(killed.stderr.text).toContain('hook-before: ended by SIGKILL')
  })

  it('are not run by a run within a hook, nor in a dry run', async () => {
    const words = ['--hook-before', 'echo ran']
    const inner = await probe(words, { INFLUX_SNAP_RUN_COMMAND: 'backup' })
    expect(inner.stderr.text).toBe('')
  })
})

describe('a heartbeat', () => {
  it('tells of start and success', async () => {
    const { url, requests } = await startReceiver()
    const env = { INFLUX_SNAP_HEARTBEAT_URL: `${url}/${SECRET}?rid=1` }
    const context = await probe([], env)
    expect([context.exitCode(), context.stderr.text]).toEqual([0, ''])
    expect(requests.map(({ method, url: path }) => `${method} ${path}`)).toEqual([
      `POST /${SECRET}/start?rid=1`,
      `POST /${SECRET}?rid=1`,
    ])
    expect(requests[1]?.body).toMatch(/^exit 0 after \S+, 1\.2 KiB\n$/)
  })

  it('tells of a failure, with the exit code', async () => {
    const { url, requests } = await startReceiver()
    const context = await probe([], { INFLUX_SNAP_HEARTBEAT_URL: `${url}/${SECRET}/` }, failing)
    expect(context.exitCode()).toBe(11)
    expect(requests.at(-1)).toMatchObject({
      url: `/${SECRET}/fail`,
      body: 'exit 11: held by another run (E_LOCKED)\n',
    })
  })

  it('tells of a failed hook before the run', async () => {
    const { url, requests } = await startReceiver()
    await probe(['--hook-before', 'exit 1'], { INFLUX_SNAP_HEARTBEAT_URL: `${url}/${SECRET}` })
    expect(requests.map(({ url: path }) => path)).toEqual([`/${SECRET}/start`, `/${SECRET}/fail`])
  })

  it('is tried again, but not what was refused for good', async () => {
    const { url, requests } = await startReceiver(({ url: path }, nth) => {
      if (path.endsWith('/start')) return 404
      return nth < 3 ? 503 : 200
    })
    const context = await probe([], { INFLUX_SNAP_HEARTBEAT_URL: `${url}/${SECRET}` })
    expect(context.exitCode()).toBe(0)
    const { host } = new URL(url)
    expect(context.stderr.text).toBe(
      `warning: the heartbeat did not get through: ${host}: HTTP 404\n`,
    )
    expect(requests.map(({ url: path }) => path)).toEqual([
      `/${SECRET}/start`,
      `/${SECRET}`,
      `/${SECRET}`,
    ])
  })

  it('changes nothing if nobody is there, redirects or shows the secret', async () => {
    const file = join(await tempDir('heartbeat'), 'url')
    await writeFile(file, `http://127.0.0.1:9/${SECRET}\nsecond line\n`)
    const absent = await probe(['--heartbeat-url-file', file])
    expect(absent.exitCode()).toBe(0)
    expect(absent.stderr.text).toMatch(
      /^(?:warning: the heartbeat did not get through: 127\.0\.0\.1:9: .*\n){2}$/,
    )
    const { url, requests } = await startReceiver(() => 302)
    const moved = await probe([], { INFLUX_SNAP_HEARTBEAT_URL: `${url}/${SECRET}` })
    expect(moved.stderr.text).toContain('HTTP 302')
    expect(requests.map(({ url: path }) => path)).not.toContain('/elsewhere')
    expect(absent.stderr.text + moved.stderr.text).not.toContain(SECRET)
  })

  it('takes its URL from variable, file or configuration, never from the line', async () => {
    const { url, requests } = await startReceiver()
    const line = await probe(['--heartbeat-url', `${url}/${SECRET}`, '--json'])
    expect(line.exitCode()).toBe(2)
    expect(errorOf(line)['hint']).toContain('set INFLUX_SNAP_HEARTBEAT_URL')
    const config = join(await tempDir('heartbeat'), 'snap.toml')
    await writeFile(
      config,
      `[targets.nightly]\nlocation = "/b"\nheartbeat-url = "${url}/${SECRET}"\n`,
    )
    await probe(['--config', config, '--target', 'nightly'])
    expect(requests).toHaveLength(2)
    const wrong = await probe(['--json'], { INFLUX_SNAP_HEARTBEAT_URL: `ftp://${SECRET}` })
    expect(errorOf(wrong)['message']).toBe(
      'INFLUX_SNAP_HEARTBEAT_URL: expected a URL as https://host/path',
    )
    const missing = await probe(['--heartbeat-url-file', '/nowhere/url'])
    expect(missing.stderr.text).toContain('--heartbeat-url-file /nowhere/url: ENOENT')
    const twice = await probe(['--heartbeat-url-file', '/x'], { INFLUX_SNAP_HEARTBEAT_URL: url })
    expect(twice.exitCode()).toBe(2)
    const said = [line, wrong, missing, twice].map(
      ({ stderr, stdout }) => stderr.text + stdout.text,
    )
    expect(said.join('')).not.toContain(SECRET)
  })
})

describe('a webhook', () => {
  it('gets the document of the result, or of the failure', async () => {
    const { url, requests } = await startReceiver()
    const env = { INFLUX_SNAP_WEBHOOK_URL: `${url}/${SECRET}` }
    const context = await probe(['--json'], env)
    expect(requests[0]).toMatchObject({
      method: 'POST',
      url: `/${SECRET}`,
      type: 'application/json',
    })
    expect(requests[0]?.body).toBe(context.stdout.text.trimEnd())
    const failed = await probe(['--json'], env, failing)
    expect(requests[1]?.body).toBe(failed.stdout.text.trimEnd())
    expect(requests).toHaveLength(2)
  })
})

describe('--metrics-file', () => {
  it('keeps the figures of every command and target, also of runs that end at once', async () => {
    const dir = await tempDir('figures')
    const path = join(dir, 'snap.prom')
    const target = join(dir, 'sets')
    await mkdir(target)
    await writeFile(join(target, '20260101T000000Z.manifest'), '{}')
    await writeFile(join(target, '20260102T000000Z.manifest'), '{}')
    await writeFile(
      path,
      '# HELP other_total of another program\n# TYPE other_total counter\nother_total 7\n',
    )
    const words = ['--metrics-file', path]
    const runs = Array.from({ length: 8 }, (_, i) => probe([...words, i < 4 ? target : `/n${i}`]))
    for (const { stderr } of await Promise.all(runs)) expect(stderr.text).toBe('')
    await probe([...words, target], {}, failing)
    const text = await readFile(path, 'utf8')
    const families = parseExposition(text, path)
    const labels = { command: 'probe', target }
    const figure = (name: string, wanted: object) =>
      families
        .find((family) => family.name === name)
        ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(wanted))?.value
    expect(figure('snap_runs_total', labels)).toBe(5)
    expect(figure('snap_failures_total', labels)).toBe(1)
    expect(figure('snap_last_exit_code', labels)).toBe(11)
    expect(figure('snap_last_bytes', labels)).toBe(1234)
    expect(figure('snap_runs_total', { command: 'probe', target: '/n7' })).toBe(1)
    expect(figure('snap_sets', { target })).toBe(2)
    expect(figure('snap_oldest_set_timestamp_seconds', { target })).toBe(
      Date.UTC(2026, 0, 1) / 1000,
    )
    expect(figure('snap_newest_set_timestamp_seconds', { target })).toBe(
      Date.UTC(2026, 0, 2) / 1000,
    )
    expect(figure('other_total', {})).toBe(7)
    const last = figure('snap_last_run_timestamp_seconds', labels) ?? 0
    const success = figure('snap_last_success_timestamp_seconds', labels) ?? 0
    expect(last).toBeGreaterThan(success)
    expect(Math.abs(Date.now() / 1000 - success)).toBeLessThan(60)
  })

  it('is readable for scrapers, and leaves nothing beside it', async () => {
    const { readdir, stat } = await import('node:fs/promises')
    const dir = await tempDir('figures')
    await probe(['--metrics-file', join(dir, 'a.prom')])
    expect(await readdir(dir)).toEqual(['a.prom'])
    expect((await stat(join(dir, 'a.prom'))).mode & 0o777).toBe(0o644)
  })

  it('changes nothing if the file is of somebody else or cannot be written', async () => {
    const path = join(await tempDir('figures'), 'x.prom')
    await writeFile(path, 'not ours {')
    const foreign = await probe(['--metrics-file', path])
    expect(foreign.exitCode()).toBe(0)
    expect(foreign.stderr.text).toContain('warning: ')
    expect(await readFile(path, 'utf8')).toBe('not ours {')
    const nowhere = await probe(['--metrics-file', '/nowhere/x.prom'])
    expect(nowhere.exitCode()).toBe(0)
    expect(nowhere.stderr.text).toMatch(/^warning: \/nowhere\/x\.prom/)
    const pipe = `${path}.pipe`
    execFileSync('mkfifo', [pipe])
    const device = await probe(['--metrics-file', pipe])
    expect(device.stderr.text).toMatch(/^warning: .*x\.prom\.pipe: expected a file, got a device/)
  })
})
