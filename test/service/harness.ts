import { expect, onTestFinished } from 'vitest'
import { Client, type ClientOptions } from '../../src/client/index.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { emptyData } from '../../src/meta/index.ts'
import type { Logger, ServiceOptions } from '../../src/service/index.ts'
import { Service } from '../../src/service/index.ts'
import { until } from '../helpers/until.ts'
import { sampleData } from '../meta/samples.ts'
import { MemoryStore } from './memory-store.ts'

export const DATABASE = 'tele.graf db'
export const BIG_ID = 0xffff_ffff_ffff_ff00n

/** A store that holds the sample metastore and three of its shards. */
export function sampleStore(): MemoryStore {
  const store = new MemoryStore(sampleData())
  store.addShard('_internal/monitor/1', { 'a.tsm': 'internal' })
  store.addShard(`${DATABASE}/autogen/10`, { 'a.tsm': 'first', 'b.tsm': 'second' })
  store.addShard(`${DATABASE}/autogen/${BIG_ID}`)
  return store
}

/** A store without databases. */
export function emptyStore(): MemoryStore {
  return new MemoryStore(emptyData())
}

/** Keeps what was logged, as `level: message`. */
export class Log implements Logger {
  readonly lines: string[] = []

  info(message: string): void {
    this.lines.push(`info: ${message}`)
  }

  warn(message: string): void {
    this.lines.push(`warn: ${message}`)
  }

  error(message: string): void {
    this.lines.push(`error: ${message}`)
  }

  /** Returns the line that matches, once it is there. */
  async line(pattern: RegExp): Promise<string> {
    let line: string | undefined
    await until(() => {
      line = this.lines.find((candidate) => pattern.test(candidate))
      return line !== undefined
    }).catch(() => expect.fail(`no line ${pattern}; there are:\n${this.lines.join('\n')}`))
    return line ?? ''
  }
}

/** A running service over `store`, with clients for it; closed when the test is over. */
export async function serve(store: MemoryStore, options: Partial<ServiceOptions> = {}) {
  const log = new Log()
  const service = new Service({
    metaClient: store,
    tsdbStore: store,
    port: 0,
    logger: log,
    ...options,
  })
  await service.open()
  onTestFinished(() => service.close(0))
  const host = `127.0.0.1:${service.address?.port}`
  const inProcess = async () => {
    const [near, far] = duplexPair()
    void service.handle(far)
    return near
  }
  return {
    service,
    log,
    host,
    port: service.address?.port ?? 0,
    client: (kind: string, clientOptions: ClientOptions = {}) =>
      new Client(kind === 'tcp' ? host : inProcess, clientOptions),
  }
}
