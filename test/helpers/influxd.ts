import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, it } from 'vitest'
import { findInfluxd, HOW_TO_GET_INFLUXD } from './influxd-binary.ts'
import {
  type QueryOptions,
  queryCsv,
  queryJson,
  type Series,
  type WriteOptions,
  writeLines,
} from './influxd-http.ts'
import { freePorts } from './ports.ts'
import { type Finished, run } from './run.ts'
import { tempDir } from './temp.ts'
import { guardProcess, type Release } from './warden.ts'

/** The three directories of an influxd. */
export interface Directories {
  readonly data: string
  readonly wal: string
  readonly meta: string
}

/** Sections of influxdb.conf with their settings; `''` is the part before the first section. */
export type Config = Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>

export interface InfluxdOptions {
  /** Default: `inmem`. */
  readonly indexVersion?: 'inmem' | 'tsi1'
  /** Settings on top of those of {@link startInfluxd}, such as `{ data: { 'cache-snapshot-memory-size': '1m' } }`. */
  readonly config?: Config
  /** Holds (or will hold) `data`, `wal` and `meta`. Default: a temporary directory. */
  readonly dir?: string
  /** Single directories that are elsewhere. */
  readonly dirs?: Partial<Directories>
}

const START_MS = 60_000
const STOP_MS = 40_000
const LOCATED = process.platform === 'win32' ? undefined : findInfluxd()

/**
 * `describe` for suites that need a real influxd. Without one they are skipped, saying in one line how to get it; with
 * `CI=true` they fail, so that a build cannot be green by leaving them out.
 */
export function describeWithInfluxd(title: string, body: () => void): void {
  if (LOCATED !== undefined) {
    describe(title, body)
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('needs an influxd', () => {
        throw new Error(`no influxd: ${HOW_TO_GET_INFLUXD}`)
      })
    })
  } else {
    describe.skip(`${title} (no influxd: ${HOW_TO_GET_INFLUXD})`, body)
  }
}

/**
 * Starts an influxd on ports of its own and waits until it answers. Off unless `config` says otherwise: reporting,
 * retention checks, the `_internal` database, continuous queries, shard pre-creation and request logs.
 */
export async function startInfluxd(options: InfluxdOptions = {}): Promise<Influxd> {
  const root = options.dir ?? (await tempDir('influxd'))
  const dirs = {
    data: join(root, 'data'),
    wal: join(root, 'wal'),
    meta: join(root, 'meta'),
    ...options.dirs,
  }
  for (const dir of [root, ...Object.values(dirs)]) await mkdir(dir, { recursive: true })
  for (let attempt = 1; ; attempt += 1) {
    const [http = 0, bind = 0] = await freePorts(2)
    const server = new Influxd(root, dirs, { http, bind }, options)
    try {
      await server.start()
      return server
    } catch (error) {
      // Somebody else took a port since we looked.
      if (attempt === 5 || !server.log().includes('address already in use')) throw error
    }
  }
}

/** A running (or stopped) influxd; made by {@link startInfluxd}. */
export class Influxd {
  /** Base URL of its HTTP API. */
  readonly httpUrl: string
  /** `127.0.0.1:port` of the snapshotter service. */
  readonly host: string
  readonly dirs: Directories
  readonly root: string
  readonly #ports: { readonly http: number; readonly bind: number }
  readonly #options: InfluxdOptions
  #child: ChildProcess | undefined
  #release: Release = () => undefined

  constructor(
    root: string,
    dirs: Directories,
    ports: { readonly http: number; readonly bind: number },
    options: InfluxdOptions,
  ) {
    this.root = root
    this.dirs = dirs
    this.#ports = ports
    this.#options = options
    this.httpUrl = `http://127.0.0.1:${ports.http}`
    this.host = `127.0.0.1:${ports.bind}`
  }

  /** The process id; throws while it is stopped. */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('influxd is not running')
    return pid
  }

  get running(): boolean {
    return (
      this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
    )
  }

  /** Everything influxd has logged since its first start. */
  log(): string {
    const path = join(this.root, 'influxd.log')
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }

  /** Starts it (again) on the same ports and directories and waits until it answers. */
  async start(): Promise<void> {
    if (this.running) throw new Error('influxd is running already')
    const path = join(this.root, 'influxdb.conf')
    await writeFile(path, configText(this.dirs, this.#ports, this.#options))
    const seen = this.log().length
    const out = openSync(join(this.root, 'influxd.log'), 'a')
    const child = spawn(LOCATED ?? 'influxd', ['run', '-config', path], {
      stdio: ['ignore', out, out],
      env: cleanEnvironment(),
      detached: true,
    })
    closeSync(out)
    child.on('error', () => undefined)
    this.#child = child
    if (child.pid !== undefined) this.#release = guardProcess(child.pid)
    await this.#ready(seen)
  }

  /** Waits for influxd's own word, in its own log: whatever else answers on the port is not meant. */
  async #ready(seen: number): Promise<void> {
    const deadline = Date.now() + START_MS
    while (!this.log().slice(seen).includes('Listening for signals')) {
      if (!this.running || Date.now() > deadline) {
        const how = this.running ? `is not ready after ${START_MS} ms` : 'did not start'
        await this.kill()
        throw new Error(`influxd ${how}; its log ends:\n${this.log().slice(seen).slice(-4000)}`)
      }
      await sleep(20)
    }
  }

  /** SIGTERM, and waits for the end: the cache is not flushed, the WAL keeps what it holds. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** SIGKILL: as after a crash. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Kills it and removes its directories, unless they were given to it. */
  async dispose(): Promise<void> {
    await this.kill()
    if (this.#options.dir === undefined) await rm(this.root, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child !== undefined && this.running && child.pid !== undefined) {
      const exit = once(child, 'exit')
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await exit
      clearTimeout(timer)
    }
    this.#release()
    this.#child = undefined
  }

  /** Sends InfluxQL; the series of all statements, numbers as JavaScript has them, times in ns unless said. */
  async query(q: string, options?: QueryOptions): Promise<Series[]> {
    return await queryJson(this.httpUrl, q, options)
  }

  /** Sends InfluxQL; the answer as CSV text, exact in every digit. */
  async queryCsv(q: string, options?: QueryOptions): Promise<string> {
    return await queryCsv(this.httpUrl, q, options)
  }

  /** Writes line protocol, 5,000 lines a request. */
  async write(lines: string | readonly string[], options: WriteOptions): Promise<void> {
    if (typeof lines === 'string') return await writeLines(this.httpUrl, lines, options)
    for (let start = 0; start < lines.length; start += 5000) {
      await writeLines(this.httpUrl, lines.slice(start, start + 5000).join('\n'), options)
    }
  }

  /** Asks for one whole shard (request type 0), which makes influxd flush that shard's cache first; returns the tar. */
  async shardTar(shardId: bigint | number, since = '0001-01-01T00:00:00Z'): Promise<Buffer> {
    const json = `{"Type":0,"ShardID":${shardId},"Since":"${since}"}\n`
    const socket = connect(this.#ports.bind, '127.0.0.1')
    socket.setTimeout(60_000, () => socket.destroy(new Error('no answer from influxd')))
    socket.write(Buffer.concat([Buffer.from([3, 0]), Buffer.from(json)]))
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** Flushes the cache of one shard, or of all, into TSM files. */
  async flush(shardId?: bigint | number): Promise<void> {
    const ids = shardId === undefined ? (await this.shards()).map(({ id }) => id) : [shardId]
    for (const id of ids) await this.shardTar(id, '2200-01-01T00:00:00Z')
  }

  /**
   * Waits until influxd has let go of every connection to its snapshotter port. The stock `restore` ends before the
   * server has finished with what it was sent; the client's end being closed says nothing.
   */
  async settled(): Promise<void> {
    const deadline = Date.now() + 30_000
    while (await holdsConnections(this.#ports.bind)) {
      if (Date.now() > deadline) throw new Error(`influxd still holds a connection to ${this.host}`)
      await sleep(20)
    }
  }

  /** What `SHOW SHARDS` says, in order of id. */
  async shards(): Promise<{ id: number; database: string; retentionPolicy: string }[]> {
    const shards = (await this.query('SHOW SHARDS')).flatMap(({ columns, values = [] }) =>
      values.map((row) => ({
        id: Number(row[columns.indexOf('id')]),
        database: String(row[columns.indexOf('database')]),
        retentionPolicy: String(row[columns.indexOf('retention_policy')]),
      })),
    )
    return shards.sort((a, b) => a.id - b.id)
  }
}

/** Runs `influxd backup` with `args` and returns what it said and how it ended. */
export async function stockBackup(args: readonly string[]): Promise<Finished> {
  return await run(LOCATED ?? 'influxd', ['backup', ...args], { env: cleanEnvironment() })
}

/** Runs `influxd restore` with `args` and returns what it said and how it ended. */
export async function stockRestore(args: readonly string[]): Promise<Finished> {
  return await run(LOCATED ?? 'influxd', ['restore', ...args], { env: cleanEnvironment() })
}

const ESTABLISHED = '01'
const CLOSE_WAIT = '08'

/** Looks for server-side sockets of a local port that are not closed yet. */
async function holdsConnections(port: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    await sleep(500)
    return false
  }
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return lines
    .map((line) => line.trim().split(/\s+/))
    .some(([, address, , state]) => {
      return address?.endsWith(local) && (state === ESTABLISHED || state === CLOSE_WAIT)
    })
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('INFLUXDB_'))
  // Several servers share the machine with the tests themselves.
  return { ...Object.fromEntries(own), GOMAXPROCS: '2' }
}

function configText(
  dirs: Directories,
  ports: { readonly http: number; readonly bind: number },
  { indexVersion = 'inmem', config = {} }: InfluxdOptions,
): string {
  const base: Config = {
    '': { 'reporting-disabled': true, 'bind-address': `127.0.0.1:${ports.bind}` },
    meta: { dir: dirs.meta },
    data: {
      dir: dirs.data,
      'wal-dir': dirs.wal,
      'index-version': indexVersion,
      'query-log-enabled': false,
    },
    retention: { enabled: false },
    'shard-precreation': { enabled: false },
    monitor: { 'store-enabled': false },
    subscriber: { enabled: false },
    continuous_queries: { enabled: false },
    http: { 'bind-address': `127.0.0.1:${ports.http}`, 'log-enabled': false, 'max-body-size': 0 },
  }
  const names = [...new Set([...Object.keys(base), ...Object.keys(config)])]
  return names.map((name) => section(name, { ...base[name], ...config[name] })).join('\n')
}

function section(name: string, settings: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(settings).map(
    ([key, value]) => `${key} = ${JSON.stringify(value)}\n`,
  )
  return (name === '' ? '' : `[${name}]\n`) + lines.join('')
}
