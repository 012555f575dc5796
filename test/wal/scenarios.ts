import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Influxd } from '../helpers/influxd.ts'
import { formatPoint } from '../helpers/line-protocol.ts'
import { oddData } from '../helpers/odd-data.ts'

/** What is done to a real influxd so that its WAL is worth reading. */
export interface Scenario {
  readonly name: string
  /** Ends with influxd running, or killed with its WAL as it is to be found. */
  readonly run: (server: Influxd) => Promise<void>
  /** True if influxd answers for everything before it is killed and loses some of it after. */
  readonly loses?: boolean
  /** Kinds of damage in the WAL, by `lost` and `torn` of the report. */
  readonly damage?: readonly string[]
  /** Segments of a shard. */
  readonly segments?: number
}

const DB = 'd'

/** Nothing is flushed unless asked for: all stays in the WAL. */
export const CONFIG = {
  data: {
    'cache-snapshot-memory-size': '500m',
    'cache-snapshot-write-cold-duration': '24h',
  },
}

async function write(server: Influxd, ...lines: string[]): Promise<void> {
  for (const line of lines) await server.write(line, { db: DB })
}

async function drop(server: Influxd, statement: string): Promise<void> {
  await server.query(statement, { db: DB })
}

/** Returns the paths of all segments, by the order of shards and segments. */
export async function walFiles(server: Influxd): Promise<string[]> {
  const names = await readdir(server.dirs.wal, { recursive: true })
  return names
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .map((name) => join(server.dirs.wal, name))
}

async function onlySegment(server: Influxd): Promise<string> {
  const [path, ...more] = await walFiles(server)
  if (path === undefined || more.length > 0) throw new Error(`${more.length} segments too many`)
  return path
}

/** Makes the next flushes fail: they open a new segment and leave the old ones. */
async function blockFlushes(server: Influxd): Promise<void> {
  const [shard] = await server.shards()
  const folder = join(server.dirs.data, DB, 'autogen', String(shard?.id))
  for (let generation = 1; generation < 10; generation += 1) {
    await writeFile(join(folder, `00000000${generation}-000000001.tsm.tmp`), '')
  }
}

async function overwrite(server: Influxd): Promise<void> {
  await write(
    server,
    'm,h=a v=1,w=1i 10',
    'm,h=b v=1 10',
    'm,h=a v=2 30\nm,h=a v=3 20\nm,h=a v=4 30',
  )
  await write(server, 'm,h=a v=5 10', 'm,h=a w=-6i 20', 'm,h=b v=7 5')
}

const numbers = (from: number, to: number, value: number) =>
  Array.from({ length: to - from }, (_, index) => `many v=${value} ${from + index}`).join('\n')

async function segmented(server: Influxd): Promise<void> {
  await write(server, numbers(0, 300, 1), 'm,h=a v=1 1', 'm,h=b v=1 1')
  await blockFlushes(server)
  await server.flush()
  await write(server, numbers(200, 500, 2), 'm,h=a v=2 1', 'm,h=a s="x" 2')
  await server.flush()
  await write(server, 'm,h=b v=3 2', numbers(80, 120, 3))
  await drop(server, 'DELETE FROM many WHERE time >= 100 AND time < 110')
  await write(server, 'many v=4 104')
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'odd-data',
    async run(server) {
      for (const points of oddData()[0]?.batches ?? []) {
        await server.write(points.map(formatPoint), { db: DB })
      }
    },
  },
  { name: 'overwrites', run: overwrite },
  {
    name: 'deletes',
    async run(server) {
      await overwrite(server)
      await write(server, 'n,h=a v=1 1', 'n,h=b v=1 1', 'o v=1,w=true 1\no v=2 2\no v=3 3')
      await drop(server, 'DELETE FROM o WHERE time > 1 AND time <= 2')
      await drop(server, "DROP SERIES FROM n WHERE h = 'a'")
      await drop(server, 'DROP MEASUREMENT m')
      await write(server, 'n,h=a v=2 2', 'o v=4 2', 'm,h=a v="another type" 10')
      await drop(server, "DELETE WHERE h = 'b'")
    },
  },
  { name: 'segments', segments: 3, run: segmented },
  {
    name: 'torn',
    damage: ['torn: torn'],
    async run(server) {
      await overwrite(server)
      await server.kill()
      const path = await onlySegment(server)
      await truncate(path, (await readFile(path)).length - 7)
    },
  },
  {
    name: 'hole',
    damage: ['torn: hole'],
    loses: true,
    async run(server) {
      await overwrite(server)
      await server.kill()
      const path = await onlySegment(server)
      await truncate(path, (await readFile(path)).length - 7)
      await server.start()
      await write(server, 'm,h=c v=8 40')
    },
  },
  {
    name: 'corrupt',
    damage: ['lost: corrupt'],
    segments: 3,
    async run(server) {
      await segmented(server)
      await server.kill()
      const [path = ''] = await walFiles(server)
      const bytes = await readFile(path)
      const second = 5 + bytes.readUInt32BE(1)
      // The length before the snappy block: now it is 64 more than there is.
      bytes[second + 5] = (bytes[second + 5] ?? 0) ^ 0x40
      await writeFile(path, bytes)
    },
  },
]
