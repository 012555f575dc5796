import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, open, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf, SnapError } from '../errors.ts'
import { guardProcess } from './drill-guard.ts'

/** An influxd 1.x that can be run. */
export interface InfluxdProgram {
  readonly path: string
  /** As it says it: `1.8.10`. */
  readonly version: string
}

/** How a throwaway influxd is made. */
export interface InfluxdOptions {
  readonly program: InfluxdProgram
  /** An empty directory for all it writes. */
  readonly root: string
  readonly indexVersion: 'inmem' | 'tsi1'
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
}

/** A running influxd of ours. */
export interface ScratchInfluxd {
  /** `127.0.0.1:port` of its snapshotter service. */
  readonly host: string
  /** Of its HTTP API. */
  readonly url: string
  /** Its configuration file. */
  readonly config: string
  /** Kills it, or lets it end in order; returns when it has ended. */
  stop(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

const NAME = 'influxd'
const VERSION = /^InfluxDB v?(\d+)\.(\S+)/
const VERSION_MS = 10_000
/** Opening what was restored is not waited for here: it starts empty. */
const START_MS = 60_000
const STOP_MS = 30_000
const POLL_MS = 20
/** influxd says so in every 1.x once its services listen. */
const READY = 'Listening for signals'
const ATTEMPTS = 5
/** Characters of its log that go into a message. */
const LOG_TAIL = 1000

/**
 * Finds an influxd 1.x: the one that is named, else the first on PATH.
 * @returns undefined if none is named and none is there
 * @throws SnapError `E_USAGE` if the one that is named cannot be run, or is another version
 */
export async function findInfluxd(
  named: string | undefined,
  env: InfluxdOptions['env'],
): Promise<InfluxdProgram | undefined> {
  if (named !== undefined) {
    const version = await versionOf(named, env).catch((error: unknown) => {
      throw new SnapError('E_USAGE', `${named}: cannot be run: ${messageOf(error)}`)
    })
    if (version !== undefined) return { path: named, version }
    throw new SnapError('E_USAGE', `${named}: expected an influxd 1.x`, {
      hint: 'name one with --influxd, or use --influxd none',
    })
  }
  for (const directory of (env['PATH'] ?? '').split(delimiter)) {
    if (directory === '') continue
    const path = join(directory, NAME)
    const version = await versionOf(path, env).catch(() => undefined)
    if (version !== undefined) return { path, version }
  }
  return undefined
}

async function versionOf(path: string, env: InfluxdOptions['env']): Promise<string | undefined> {
  await access(path, constants.X_OK)
  const options = { timeout: VERSION_MS, env: cleanEnvironment(env) }
  const { stdout } = await promisify(execFile)(path, ['version'], options)
  const [, major, rest] = VERSION.exec(stdout) ?? []
  return major === '1' ? `${major}.${rest}` : undefined
}

/** Variables of influxd count more than its configuration: none may reach a throwaway one. */
function cleanEnvironment(env: InfluxdOptions['env']): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('INFLUXDB_')))
}

/**
 * Starts an influxd on free ports of this machine's loopback, with its directories in `root`. It ends with this process
 * at the latest.
 * @throws SnapError `E_FAILED` if it does not start
 */
export async function startInfluxd(options: InfluxdOptions): Promise<ScratchInfluxd> {
  for (let attempt = 1; ; attempt++) {
    const [bind = 0, http = 0] = await freePorts(2)
    const influxd = await Influxd.spawn(options, { bind, http })
    try {
      await influxd.ready(options.signal)
      return influxd
    } catch (error) {
      await influxd.stop()
      options.signal.throwIfAborted()
      // Somebody else took a port since we looked.
      const log = await influxd.log()
      if (attempt < ATTEMPTS && log.includes('address already in use')) continue
      const message = `${options.program.path} did not start: ${messageOf(error)}`
      throw new SnapError('E_FAILED', message, {
        cause: error,
        hint: `its log ends: ${log.slice(-LOG_TAIL)}`,
      })
    }
  }
}

interface Ports {
  readonly bind: number
  readonly http: number
}

class Influxd implements ScratchInfluxd {
  readonly host: string
  readonly url: string
  readonly config: string
  readonly #logPath: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #release: () => void

  static async spawn(options: InfluxdOptions, ports: Ports): Promise<Influxd> {
    const { root, program, env } = options
    const config = join(root, 'influxdb.conf')
    await writeFile(config, configText(options, ports), { mode: 0o600 })
    const log = await open(join(root, 'influxd.log'), 'w', 0o600)
    try {
      const child = spawn(program.path, ['run', '-config', config], {
        stdio: ['ignore', log.fd, log.fd],
        env: { ...cleanEnvironment(env), HOME: root },
        // Ctrl-C on the terminal is for us, who then end it.
        detached: true,
      })
      return new Influxd(root, config, { child, ports })
    } finally {
      await log.close()
    }
  }

  constructor(
    root: string,
    config: string,
    { child, ports }: { readonly child: ChildProcess; readonly ports: Ports },
  ) {
    this.host = `127.0.0.1:${ports.bind}`
    this.url = `http://127.0.0.1:${ports.http}`
    this.config = config
    this.#logPath = join(root, 'influxd.log')
    this.#child = child
    this.#exited = child.pid === undefined ? once(child, 'error') : once(child, 'exit')
    this.#exited.catch(() => {})
    this.#release = child.pid === undefined ? () => {} : guardProcess(child.pid)
  }

  async log(): Promise<string> {
    return await readFile(this.#logPath, 'utf8')
  }

  /** Waits for its own word in its own log: whatever else answers on the port is not meant. */
  async ready(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + START_MS
    while (!(await this.log()).includes(READY)) {
      const { pid, exitCode, signalCode } = this.#child
      if (pid === undefined) throw new Error('it cannot be run')
      if (exitCode !== null || signalCode !== null)
        throw new Error(`it ended with ${exitCode ?? signalCode}`)
      if (performance.now() > deadline)
        throw new Error(`it is not ready after ${START_MS / 1000} s`)
      await sleep(POLL_MS, undefined, { signal })
    }
  }

  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await this.#exited
      clearTimeout(timer)
    }
    this.#release()
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  try {
    return await Promise.all(
      servers.map(async (server) => {
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        const address = server.address()
        return typeof address === 'object' && address !== null ? address.port : 0
      }),
    )
  } finally {
    for (const server of servers) server.close()
  }
}

type Section = Readonly<Record<string, string | number | boolean>>

/** Nothing of it reaches out, drops, adds or limits anything. */
function configText({ root, indexVersion }: InfluxdOptions, { bind, http }: Ports): string {
  const off = { enabled: false }
  const sections: Readonly<Record<string, Section>> = {
    meta: { dir: join(root, 'meta') },
    data: {
      dir: join(root, 'data'),
      'wal-dir': join(root, 'wal'),
      'index-version': indexVersion,
      'query-log-enabled': false,
      'max-series-per-database': 0,
      'max-values-per-tag': 0,
    },
    retention: off,
    'shard-precreation': off,
    monitor: { 'store-enabled': false },
    subscriber: off,
    continuous_queries: off,
    http: { 'bind-address': `127.0.0.1:${http}`, 'auth-enabled': false, 'log-enabled': false },
  }
  const lines = [`reporting-disabled = true`, `bind-address = "127.0.0.1:${bind}"`]
  for (const [name, section] of Object.entries(sections)) {
    lines.push(`[${name}]`)
    for (const [key, value] of Object.entries(section))
      lines.push(`${key} = ${JSON.stringify(value)}`)
  }
  return `${lines.join('\n')}\n`
}
