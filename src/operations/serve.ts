import { Client } from '../client/index.ts'
import { openDataDirectory, type PathOptions, resolveDataDirectory } from '../datadir/index.ts'
import type { Bind, DoorFiles, Logger, ServiceLimits } from '../service/index.ts'
import { openDoor, PeerServer, Service, upstreamAnswerer } from '../service/index.ts'
import type { MetricsServer } from './metrics-server.ts'
import type { Progress } from './progress.ts'
import type { ServeMetrics } from './serve-metrics.ts'
import { SNAP_NODE } from './served-directory.ts'

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

/** Figures for Prometheus. */
export interface ServedMetrics {
  readonly bind: Bind
  /** Of this program, to be told with the figures. */
  readonly version: string
  /** A file in which runs keep theirs: these are served too. */
  readonly runsFile?: string | undefined
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
  /** Where figures are served over HTTP, for Prometheus; default: nowhere. */
  readonly metrics?: ServedMetrics | undefined
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
  /** The same of the figures. */
  readonly metricsAddress?: string
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
  const figures = await openMetrics(options)
  const { server, what, close } = await openSource(options, logger, figures?.metrics)
  try {
    await server.open()
    await figures?.open()
    const address = formatBound(bind, server.address?.port)
    const plainAddress = plainBind && formatBound(plainBind, server.plainAddress?.port)
    const metricsAddress = figures?.address()
    const tls = options.door !== undefined
    const where = `${address}${tls ? ' with TLS' : ''}${plainAddress ? ` and ${plainAddress}` : ''}`
    if (metricsAddress) logger.info(`metrics on http://${metricsAddress}/metrics`)
    logger.info(`serving ${what.directory ?? what.upstream} on ${where}, ${mode}`)
    await aborted(signal)
    logger.info('stopping: no new connections, running requests may end')
    const others = {
      ...(plainAddress && { plainAddress }),
      ...(metricsAddress && { metricsAddress }),
    }
    return { address, ...others, tls, mode, ...what }
  } finally {
    await server.close(drainMs)
    await figures?.close()
    await close()
  }
}

/** Figures that are not served yet. */
interface Figures {
  readonly metrics: ServeMetrics
  readonly open: () => Promise<void>
  readonly address: () => string | undefined
  readonly close: () => Promise<void>
}

async function openMetrics({ metrics: wanted, mode }: ServeOptions) {
  if (wanted === undefined) return undefined
  const { bind, version, runsFile } = wanted
  const { serveMetrics } = await import('./serve-metrics.ts')
  const { openMetricsServer } = await import('./metrics-server.ts')
  const { readRunFigures } = await import('./run-figures.ts')
  const metrics = await serveMetrics({ version, mode })
  const text = async () =>
    `${await metrics.text()}\n${runsFile === undefined ? '' : await readRunFigures(runsFile)}`
  let server: MetricsServer | undefined
  const figures: Figures = {
    metrics,
    open: async () => {
      server = await openMetricsServer(bind, { ...metrics, text })
    },
    address: () => server && formatBound(bind, server.port),
    close: async () => await server?.close(),
  }
  return figures
}

async function openSource(
  options: ServeOptions,
  logger: Logger,
  metrics: ServeMetrics | undefined,
): Promise<OpenSource> {
  const { source, mode, tempDir, bind, plainBind, limits } = options
  const door = options.door && (await openDoor(options.door, logger))
  const readOnly = mode === 'read-only'
  const observer = metrics?.observer
  const place = { ...bind, plain: plainBind, door, limits, logger, observer }
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
