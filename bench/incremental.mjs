// A nightly backup of a server of 20 shards of which one changed: snap backup --incremental against influxd backup -portable.
//
//   npm run build && node bench/incremental.mjs [PATH OF influxd]
//   POINTS=2500000 node bench/incremental.mjs
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const INFLUXD = process.argv[2] ?? process.env.INFLUXD ?? 'influxd'
const SNAP = new URL('../bin/snap.js', import.meta.url).pathname
const SHARDS = 20
const ROUNDS = 5
/** Points of a shard, two fields each: 500,000 are 6 MB of TSM, 2,500,000 are 30 MB, 600 MB in all. */
const POINTS = Number(process.env.POINTS ?? 500_000)
/** Points that change in one shard from night to night. */
const CHANGED = 10_000
const BATCH = 10_000
const DAY = 86_400
const START = 1_577_836_800

const root = await mkdtemp(join(tmpdir(), 'snap-bench-'))
const [http, bind] = [await freePort(), await freePort()]
const url = `http://127.0.0.1:${http}`
const server = await start()
try {
  await query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
  for (let shard = 0; shard < SHARDS; shard++) await fill(shard, { round: 0, points: POINTS })
  await flush()
  const from = ['--quiet', '--host', `127.0.0.1:${bind}`, '--http', url]
  const contestants = {
    'snap version (start-up)': () => snap('version'),
    'snap backup --incremental': () => snap('backup', '--incremental', ...from, dir('snap')),
    'snap backup --incremental --data-dir': () =>
      snap('backup', '--incremental', '--quiet', '--data-dir', dir('influxdb/data'), dir('files')),
    'influxd backup -portable': () =>
      run(INFLUXD, ['backup', '-portable', '-host', `127.0.0.1:${bind}`, dir('stock')]),
  }
  const names = Object.keys(contestants)
  const seconds = Object.fromEntries(names.map((name) => [name, []]))
  // The first round is the full one, and not timed.
  for (let round = 0; round <= ROUNDS; round++) {
    if (round > 0) await fill(SHARDS - 1, { round, points: CHANGED })
    // The first to ask would pay for the flush.
    await flush()
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]
      const time = await timed(contestants[name])
      if (round > 0) seconds[name].push(time)
    }
    await rm(dir('stock'), { recursive: true, force: true })
  }
  const medians = Object.fromEntries(names.map((name) => [name, medianOf(seconds[name])]))
  const size = (await sizeOf(dir('influxdb/data/d/autogen'))) / 1e6
  console.log(`one of ${SHARDS} shards changed, ${size.toFixed(0)} MB of TSM; medians of ${ROUNDS}`)
  for (const name of names) {
    const all = seconds[name].map((time) => time.toFixed(2)).join(' ')
    console.log(`${name.padEnd(38)} ${medians[name].toFixed(2).padStart(6)} s   (${all})`)
  }
  const [startUp, nightly, , stock] = names.map((name) => medians[name])
  console.log(`influxd takes ${(stock / nightly).toFixed(1)} times as long`)
  console.log(`  without the start-up of node ${(stock / (nightly - startUp)).toFixed(1)} times`)
} finally {
  server.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
}

function medianOf(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
}

/** Makes influxd write its caches into files, and lets what it does then come to an end. */
async function flush() {
  const place = dir('flush')
  run(INFLUXD, ['backup', '-portable', '-host', `127.0.0.1:${bind}`, place])
  await rm(place, { recursive: true, force: true })
  await sleep(3000)
}

function dir(name) {
  return join(root, name)
}

async function sizeOf(path) {
  const files = await readdir(path, { recursive: true })
  const sizes = files.map(async (name) => (await stat(join(path, name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

async function timed(work) {
  const begun = performance.now()
  await work()
  return (performance.now() - begun) / 1000
}

function snap(...args) {
  run(process.execPath, [SNAP, ...args])
}

function run(program, args) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}

async function fill(shard, { round, points }) {
  for (let first = 0; first < points; first += BATCH) {
    const lines = Array.from({ length: BATCH }, (_, i) => {
      const n = first + i
      const v = Math.random() * 1000 + round
      return `m,host=h${n % 50} v=${v},n=${n}i ${START + shard * DAY + Math.floor(n / 50) * 8}`
    })
    const answer = await fetch(`${url}/write?db=d&precision=s`, {
      method: 'POST',
      body: lines.join('\n'),
    })
    if (answer.status !== 204) throw new Error(await answer.text())
  }
}

async function query(q) {
  const answer = await fetch(`${url}/query`, { method: 'POST', body: new URLSearchParams({ q }) })
  if (!answer.ok) throw new Error(await answer.text())
}

async function start() {
  for (const name of ['data', 'wal', 'meta'])
    await mkdir(dir(`influxdb/${name}`), { recursive: true })
  const config = [
    `reporting-disabled = true\nbind-address = "127.0.0.1:${bind}"`,
    `[meta]\ndir = "${dir('influxdb/meta')}"`,
    `[data]\ndir = "${dir('influxdb/data')}"\nwal-dir = "${dir('influxdb/wal')}"`,
    `[http]\nbind-address = "127.0.0.1:${http}"\nlog-enabled = false`,
    '[monitor]\nstore-enabled = false',
  ]
  await writeFile(dir('influxdb.conf'), config.join('\n'))
  const child = spawn(INFLUXD, ['run', '-config', dir('influxdb.conf')], { stdio: 'ignore' })
  for (;;) {
    const answer = await fetch(`${url}/ping`).catch(() => undefined)
    if (answer?.status === 204) return child
    if (child.exitCode !== null) throw new Error(`${INFLUXD} did not start`)
    await sleep(50)
  }
}

async function freePort() {
  const listener = createServer()
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address()
  await new Promise((resolve) => listener.close(resolve))
  return port
}
