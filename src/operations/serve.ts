import { Client } from '../client/index.ts'
import { openDataDirectory, type PathOptions, resolveDataDirectory } from '../datadir/index.ts'
import type { Bind, DoorFiles, Logger, ServiceLimits } from '../service/index.ts'
import { openDoor, PeerServer, Service, upstreamAnswerer } from '../service/index.ts'
import type { Progress } from './progress.ts'
import { SNAP_NODE } from './server.ts'

/** A data directory to be served. */
export interface ServedDirectory {
  readonly directory: PathOptions
  readonly influxdIsStopped: boolean
}

/** A server to stand in front of. */
export interface ServedUpstream {
  /** `host:port` */
  readonly upstream: string
}

/** What to serve, and where. */
export interface ServeOptions {
  readonly source: ServedDirectory | ServedUpstream
  readonly mode: 'read-only' | 'read-write'
  readonly tempDir: string
  readonly bind: Bind
  /** A second address, without the door. */
  readonly plainBind?: Bind | undefined
  /** What clients of the first address have to pass. */
  readonly door?: DoorFiles | undefined
  readonly limits: Partial<ServiceLimits>
  /** How long running requests may take to end, in ms. */
  readonly drainMs: number
  /** Gets the log as notes. */
  readonly progress: Progress
  /** Ends the service. */
  readonly signal: AbortSignal
}

/** What was served. */
export interface Served {
  /** `host:port` that was listened on. */
  readonly address: string
  /** The same of the second address. */
  readonly plainAddress?: string
  /** Whether the first address speaks TLS. */
  readonly tls: boolean
  readonly mode: ServeOptions['mode']
  /** The data directory; left out in front of another server. */
  readonly directory?: string
  /** The server behind; left out for a data directory. */
  readonly upstream?: string
}

/** A service that does not listen yet. */
interface OpenSource {
  readonly server: Pick<PeerServer, 'open' | 'close' | 'address' | 'plainAddress'>
  readonly what: Pick<Served, 'directory' | 'upstream'>
  readonly close: () => Promise<void>
}

/**
 * Serves a data directory, or what another server has, until `signal` is aborted; then lets running requests end.
 * @throws SnapError what opening the door, the directory and listening throw
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { mode, bind, plainBind, drainMs, signal } = options
  const logger = loggerOf(options.progress)
  const { server, what, close } = await openSource(options, logger)
  try {
    await server.open()
    const address = formatBound(bind, server.address?.port)
    const plainAddress = plainBind && formatBound(plainBind, server.plainAddress?.port)
    const tls = options.door !== undefined
    const where = `${address}${tls ? ' with TLS' : ''}${plainAddress ? ` and ${plainAddress}` : ''}`
    logger.info(`serving ${what.directory ?? what.upstream} on ${where}, ${mode}`)
    await aborted(signal)
    logger.info('stopping: no new connections, running requests may end')
    return { address, ...(plainAddress && { plainAddress }), tls, mode, ...what }
  } finally {
    await server.close(drainMs)
    await close()
  }
}

async function openSource(options: ServeOptions, logger: Logger): Promise<OpenSource> {
  const { source, mode, tempDir, bind, plainBind, limits } = options
  const door = options.door && (await openDoor(options.door, logger))
  const readOnly = mode === 'read-only'
  const place = { ...bind, plain: plainBind, door, limits, logger }
  if ('upstream' in source) {
    const { upstream } = source
    const client = new Client(upstream, { idle: limits.idle })
    const server = new PeerServer(upstreamAnswerer({ client, readOnly, tempDir }), place)
    return { server, what: { upstream }, close: async () => {} }
  }
  const paths = await resolveDataDirectory(source.directory)
  const { influxdIsStopped } = source
  const directory = await openDataDirectory(paths, { mode, influxdIsStopped, tempDir, logger })
  const { metaClient, tsdbStore } = directory
  const stores = { metaClient, tsdbStore, node: SNAP_NODE, readOnly }
  const server = new Service({ ...stores, ...place })
  return { server, what: { directory: paths.dataDir }, close: () => directory.close() }
}

function formatBound({ host }: Bind, port: number | undefined): string {
  const shown = host.includes(':') ? `[${host}]` : host
  return `${shown}:${port ?? ''}`
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function loggerOf(progress: Progress): Logger {
  const note = (level: 'info' | 'warning' | 'error') => (message: string) =>
    progress({ type: 'note', level, message })
  return { info: note('info'), warn: note('warning'), error: note('error') }
}
