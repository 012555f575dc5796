import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type ScriptFor, startFaultProxy } from '../helpers/fault-proxy.ts'
import { type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { type Contents, contentsOfServer } from './contents.ts'
import { type Outcome, type Serving, serving, snap, snapEnding } from './snap.ts'

/** The database of every scene. */
export const DATABASE = 'd'

/** Who is on the other side. */
export const SERVERS = ['influxd', 'snap serve'] as const
export type ServerName = (typeof SERVERS)[number]

/** Servers with the same data, empty ones to restore to, and a backup. */
export interface Scene {
  readonly source: Readonly<Record<ServerName, string>>
  readonly target: Readonly<Record<ServerName, string>>
  readonly contents: Contents
  /** Its points as sorted line protocol. */
  readonly lines: readonly string[]
  /** A set of all of it. */
  readonly set: string
  /** An influxd that is the source and one that is the target. */
  readonly influxds: { readonly source: Influxd; readonly target: Influxd }
  /** Where the `snap serve` that is restored to has its directories. */
  readonly targetRoot: string
  readonly close: () => Promise<void>
}

const WEEK = 7 * 24 * 3_600_000_000_000

/** Two shards, the first of two files; every type of value. Nothing is deleted: influxd would compact it, at any time. */
async function load(server: Influxd): Promise<void> {
  await server.query(`CREATE DATABASE ${DATABASE}`)
  const lines = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => {
      const i = from + index
      const fields = `f=${Math.sin(i)},i=${i}i,b=${i % 2 === 0},s="${Math.cos(i)}"`
      return `m,host=h${i % 3} ${fields} ${i}000000000`
    })
  await server.write(lines(0, 300), { db: DATABASE })
  await server.flush()
  await server.write([...lines(300, 100), `other v=1 ${WEEK}`, `other v=2 ${WEEK + 1}`], {
    db: DATABASE,
  })
  await server.flush()
}

/** Starts everything a matrix needs. */
export async function openScene(): Promise<Scene> {
  const source = await startInfluxd()
  await load(source)
  // Not stopped for it: influxd compacts after a start.
  const copy = await tempDir('copy')
  for (const kind of ['data', 'wal', 'meta'])
    await cp(join(source.root, kind), join(copy, kind), { recursive: true })
  const target = await startInfluxd()
  const targetRoot = await tempDir('served')
  const served = await serving(['--data-dir', join(copy, 'data')])
  const writable = await serving([
    ...directoryFlags({
      data: join(targetRoot, 'data'),
      wal: join(targetRoot, 'wal'),
      meta: join(targetRoot, 'meta'),
    }),
    ...['--mode', 'read-write', '--influxd-is-stopped'],
  ])
  const set = await tempDir('set')
  await snapEnding(0, 'backup', '--host', source.host, set)
  return {
    source: { influxd: source.host, 'snap serve': served.host },
    target: { influxd: target.host, 'snap serve': writable.host },
    contents: await contentsOfServer({ host: source.host }, DATABASE),
    lines: await linesOf(source.host),
    set,
    influxds: { source, target },
    targetRoot,
    close: () => closeAll([served, writable], [source, target]),
  }
}

async function linesOf(host: string): Promise<string[]> {
  const file = join(await tempDir('lines'), 'd.lp')
  await snapEnding(0, 'export', '--host', host, '--format', 'lp', file)
  return (await readFile(file, 'utf8')).trimEnd().split('\n').sort()
}

async function closeAll(served: readonly Serving[], servers: readonly Influxd[]): Promise<void> {
  for (const { stop } of served) expect((await stop()).code).toBe(0)
  for (const server of servers) await server.dispose()
}

/** What went over one connection. */
export interface Recorded {
  readonly toServer: Uint8Array
  readonly toClient: Uint8Array
}

/** What went over a line: the connections of each request type in their order. */
export type Recording = ReadonlyMap<number, readonly Recorded[]>

/** Runs `work` over a line on which nothing happens and returns what went over it. */
export async function record(
  target: string,
  work: (host: string) => Promise<unknown>,
): Promise<Recording> {
  const chunks: { toServer: Uint8Array[]; toClient: Uint8Array[] }[] = []
  const proxy = await startFaultProxy(target, [], (index, direction, data) => {
    while (chunks.length <= index) chunks.push({ toServer: [], toClient: [] })
    chunks[index]?.[direction].push(Buffer.from(data))
  })
  await work(proxy.host)
  await proxy.close()
  const recording = new Map<number, Recorded[]>()
  for (const { toServer, toClient } of chunks) {
    const seen = { toServer: Buffer.concat(toServer), toClient: Buffer.concat(toClient) }
    const type = seen.toServer[1] ?? -1
    recording.set(type, [...(recording.get(type) ?? []), seen])
  }
  return recording
}

/** How a run over a bad line ended. */
export interface Run extends Outcome {
  /** The line's address, which an error must name. */
  readonly host: string
  /** How often a script was chosen that is not empty. */
  readonly faults: number
}

/** Runs `snap` over a line with faults; `words` are given the line's address. */
export async function over(
  { target, scriptFor }: { readonly target: string; readonly scriptFor: ScriptFor },
  words: (host: string) => readonly string[],
): Promise<Run> {
  let faults = 0
  const proxy = await startFaultProxy(target, (type, before) => {
    const script = scriptFor(type, before)
    if (Object.keys(script).length > 0) faults += 1
    return script
  })
  try {
    const outcome = await snap(...words(proxy.host))
    return { ...outcome, host: proxy.host, faults }
  } finally {
    await proxy.close()
  }
}
