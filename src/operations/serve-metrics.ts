import type { Registry } from 'prom-client'
import type { Observer } from '../service/index.ts'

/** What a service counts, for Prometheus. */
export interface ServeMetrics {
  readonly observer: Observer
  /** The content type of {@link text}. */
  readonly contentType: string
  /** Writes all series in the text format of Prometheus. */
  readonly text: () => Promise<string>
}

/** What is said of the service itself, as labels. */
export interface BuildInfo {
  readonly version: string
  readonly mode: string
}

/** Seconds: from a metastore of a few kilobytes to a shard of terabytes. */
const BUCKETS = [0.01, 0.1, 1, 10, 60, 600, 3600]

/** Makes the series of one service, in a registry of their own. */
export async function serveMetrics(info: BuildInfo): Promise<ServeMetrics> {
  const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client')
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const build = new Gauge({
    name: 'snap_serve_build_info',
    help: 'Always 1; the labels say what serves.',
    labelNames: ['version', 'mode', 'node'],
    registers: [registry],
  })
  build.set({ ...info, node: process.versions.node }, 1)
  return {
    observer: await observerOf(registry),
    contentType: registry.contentType,
    text: async () => await registry.metrics(),
  }
}

async function seriesOf(registry: Registry) {
  const { Counter, Gauge, Histogram } = await import('prom-client')
  const registers = [registry]
  const open = new Gauge({
    name: 'snap_serve_connections_open',
    help: 'Connections that are open now.',
    registers,
  })
  const taken = new Counter({
    name: 'snap_serve_connections_total',
    help: 'Connections that were taken.',
    registers,
  })
  const turnedAway = new Counter({
    name: 'snap_serve_connections_refused_total',
    help: 'Connections that were turned away: full (too many) or door (TLS, certificate).',
    labelNames: ['reason'],
    registers,
  })
  const requests = new Counter({
    name: 'snap_serve_requests_total',
    help: 'Requests that have ended, by type and result: answered, refused or failed.',
    labelNames: ['type', 'result'],
    registers,
  })
  const sent = new Counter({
    name: 'snap_serve_sent_bytes_total',
    help: 'Bytes sent in answers, broken off ones included.',
    labelNames: ['type'],
    registers,
  })
  const seconds = new Histogram({
    name: 'snap_serve_request_seconds',
    help: 'Time of requests that were answered: shard snapshots are ShardBackup and ShardExport, uploads ShardUpdate.',
    labelNames: ['type'],
    buckets: BUCKETS,
    registers,
  })
  return { open, taken, turnedAway, requests, sent, seconds }
}

async function observerOf(registry: Registry): Promise<Observer> {
  const { open, taken, turnedAway, requests, sent, seconds } = await seriesOf(registry)
  for (const reason of ['full', 'door']) turnedAway.inc({ reason }, 0)
  return {
    connected: () => {
      taken.inc()
      open.inc()
    },
    disconnected: () => open.dec(),
    turnedAway: (reason) => turnedAway.inc({ reason }),
    requested: (request) => {
      const { type, result, bytes } = request
      requests.inc({ type, result })
      sent.inc({ type }, bytes)
      if (result === 'answered') seconds.observe({ type }, request.seconds)
    },
  }
}
