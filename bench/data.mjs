// The data of the benchmarks: telegraf-like, the same with every run, written through a real influxd and kept for the next.
import { access, cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { query, startInfluxd, write } from './influxd.mjs'

/** Counts up whenever the same options begin to make other data. */
const VERSION = 1
const FIELDS = 6
const START = 1_600_041_600
/** From the first day of the year 1, which influxd counts shard groups from, to 1970, in seconds. */
const YEAR_1 = 62_135_596_800
const BATCH = 10_000
const WRITERS = 4
/** Caches become files at once, and files are compacted as those of old shards are. */
const AS_IF_OLD = [
  'cache-snapshot-memory-size = "256m"',
  'cache-snapshot-write-cold-duration = "1s"',
  'compact-full-write-cold-duration = "1s"',
  'compact-throughput = "1g"',
  'compact-throughput-burst = "1g"',
]
/** Nothing was written for as long as this: all is in TSM files, and none is being compacted. */
const QUIET_MS = 4000

/**
 * What to make: `hosts` with six fields of all types every `step` seconds, over `hours`, cut into as
 * many `shards`. The result says of what length these are, from when to when (in seconds) there are points, and how many.
 */
export function shapeOf({ hosts = 100, hours = 28 * 24, step = 30, shards = 20, seed = 1 }) {
  const shardHours = Math.ceil(hours / shards)
  const length = shardHours * 3600
  const start = START - ((START + YEAR_1) % length)
  const rows = Math.floor((hours * 3600) / step)
  const shape = { hosts, hours, step, shards: Math.ceil(hours / shardHours), shardHours, seed }
  return { ...shape, start, end: start + rows * step, values: rows * hosts * FIELDS }
}

/** Returns the folder with `data`, `wal` and `meta` of an influxd that holds the data, making it if it is not in `cache` yet. */
export async function cachedData({ cache, influxd, say }, options) {
  const shape = shapeOf(options)
  const { hosts, hours, step, shards, seed } = shape
  const folder = join(cache, `v${VERSION}-h${hosts}-t${hours}-s${step}-n${shards}-r${seed}`)
  if (!(await exists(folder))) {
    say(`loading ${(shape.values / 1e6).toFixed(1)} million values, kept in ${folder}`)
    const pending = `${folder}.${process.pid}.pending`
    await rm(pending, { recursive: true, force: true })
    try {
      await load({ influxd, root: pending }, shape)
      await rename(pending, folder)
    } finally {
      await rm(pending, { recursive: true, force: true })
    }
  }
  return { folder, ...shape, bytes: await tsmBytes(join(folder, 'data')) }
}

/** Starts an influxd with a copy of the data in `root`, as old as it is; the files of the cache stay as they are. */
export async function startWith({ influxd }, { folder }, root) {
  await mkdir(root, { recursive: true })
  const how = { recursive: true, preserveTimestamps: true }
  for (const name of ['data', 'wal', 'meta']) {
    await cp(join(folder, name), join(root, name), how)
  }
  return await startInfluxd(influxd, root)
}

async function load({ influxd, root }, shape) {
  const server = await startInfluxd(influxd, root, AS_IF_OLD)
  try {
    await query(server, `CREATE DATABASE d WITH DURATION INF SHARD DURATION ${shape.shardHours}h`)
    const batches = linesOf(shape)
    await Promise.all(
      Array.from({ length: WRITERS }, async () => {
        for (const lines of batches) await write(server, lines)
      }),
    )
    await untilQuiet(root)
  } finally {
    await server.stop()
  }
  await writeFile(join(root, 'shape.json'), JSON.stringify(shape))
}

/** Yields batches of line protocol, in the order of time. */
export function* linesOf({ hosts, step, start, end, seed }) {
  const walks = Array.from({ length: hosts * 3 }, (_, i) => walk(seed + i))
  let lines = []
  for (let row = 0, time = start; time < end; row++, time += step) {
    for (let host = 0; host < hosts; host++) {
      lines.push(lineOf(host, { row, time, walks }))
      if (lines.length < BATCH) continue
      yield lines
      lines = []
    }
  }
  if (lines.length > 0) yield lines
}

function lineOf(host, { row, time, walks }) {
  const [user, system, idle] = [0, 1, 2].map((i) => walks[host * 3 + i]())
  const floats = `user=${user},system=${system},idle=${idle}`
  const others = `n=${row * 7 + host}i,up=${row % 97 !== 0},state="state ${row % 11}"`
  return `cpu,host=host${host},region=r${host % 5} ${floats},${others} ${time}`
}

/** A pseudo-random walk of floats with two digits, the same for the same seed. */
function walk(seed) {
  let state = seed
  let value = 50
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    value = Math.round((value + state / 0x7fffffff - 0.5) * 100) / 100
    return value
  }
}

/** Waits until no WAL segment holds anything and no file changes any more. */
async function untilQuiet(root) {
  let [before, since] = ['', Date.now()]
  while (Date.now() - since < QUIET_MS) {
    const now = JSON.stringify(await filesIn(root))
    const isBusy = now !== before || (await sizeOf(join(root, 'wal'))) > 0
    if (isBusy) [before, since] = [now, Date.now()]
    await sleep(500)
  }
}

/** The files below a folder with their sizes; those that go meanwhile are left out. */
export async function filesIn(folder) {
  const files = []
  for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (found?.isFile()) files.push({ name, size: found.size })
  }
  return files
}

/** Bytes of everything below a folder. */
export async function sizeOf(folder) {
  return (await filesIn(folder)).reduce((sum, { size }) => sum + size, 0)
}

async function tsmBytes(folder) {
  const files = (await filesIn(folder)).filter(({ name }) => name.endsWith('.tsm'))
  return files.reduce((sum, { size }) => sum + size, 0)
}

async function exists(path) {
  return await access(path).then(
    () => true,
    () => false,
  )
}
