import { openDataDirectory, type PathOptions, resolveDataDirectory } from '../datadir/index.ts'
import { type Logger, Service, type ServiceLimits } from '../service/index.ts'
import type { Progress } from './progress.ts'
import { SNAP_NODE } from './server.ts'

/** What to serve, and where. */
export interface ServeOptions {
  readonly directory: PathOptions
  readonly mode: 'read-only' | 'read-write'
  readonly influxdIsStopped: boolean
  readonly tempDir: string
  readonly bind: { readonly host: string; readonly port: number }
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
  readonly address: string
  readonly directory: string
}

/**
 * Serves a data directory until `signal` is aborted, then lets running requests end.
 * @throws SnapError what opening the directory and listening throw
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { mode, influxdIsStopped, tempDir, bind, limits, drainMs, signal } = options
  const logger = loggerOf(options.progress)
  const paths = await resolveDataDirectory(options.directory)
  const directory = await openDataDirectory(paths, { mode, influxdIsStopped, tempDir, logger })
  const { metaClient, tsdbStore } = directory
  const service = new Service({ metaClient, tsdbStore, ...bind, limits, node: SNAP_NODE, logger })
  try {
    await service.open()
    const address = formatBound(service, bind)
    logger.info(`serving ${paths.dataDir} on ${address}, ${mode}`)
    await aborted(signal)
    logger.info('stopping: no new connections, running requests may end')
    return { address, directory: paths.dataDir }
  } finally {
    await service.close(drainMs)
    await directory.close()
  }
}

function formatBound({ address }: Service, { host }: ServeOptions['bind']): string {
  const shown = host.includes(':') ? `[${host}]` : host
  return `${shown}:${address?.port ?? ''}`
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
