// A nightly backup of a server of 20 shards of which one changed: snap backup --incremental against influxd backup -portable.
//
//   npm run build && node bench/incremental.mjs [PATH OF influxd]
import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const INFLUXD = process.argv[2] ?? process.env.INFLUXD ?? 'influxd'
const SNAP = new URL('../bin/snap.js', import.meta.url).pathname
const SHARDS = 20
const POINTS = 500_000
const BATCH = 10_000
const DAY = 86_400
const START = 1_577_836_800

const root = await mkdtemp(join(tmpdir(), 'snap-bench-'))
const [http, bind] = [await freePort(), await freePort()]
const url = `http://127.0.0.1:${http}`
const server = await start()
try {
  await query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
  for (let shard = 0; shard < SHARDS; shard++) await fill(shard, 1)
  await sleep(3000)
  const from = ['--quiet', '--host', `127.0.0.1:${bind}`, '--http', url]
  const nights = {
    'snap backup --incremental, first': () => snap('backup', '--incremental', ...from, dir('snap')),
    // What the first one made influxd flush has a time after its beginning, and is looked at once more.
    'snap backup --incremental, second': () =>
      snap('backup', '--incremental', ...from, dir('snap')),
  }
  const seconds = {}
  for (const [name, run] of Object.entries(nights)) seconds[name] = await timed(run)
  await fill(SHARDS - 1, 2)
  const nightly = await timed(() => snap('backup', '--incremental', ...from, dir('snap')))
  const trusting = await timed(() =>
    snap('backup', '--incremental', '--data-dir', dir('influxdb/data'), '--quiet', dir('files')),
  )
  await fill(SHARDS - 1, 3)
  const files = await timed(() =>
    snap('backup', '--incremental', '--data-dir', dir('influxdb/data'), '--quiet', dir('files')),
  )
  const stock = await timed(() =>
    run(INFLUXD, ['backup', '-portable', '-host', `127.0.0.1:${bind}`, dir('stock')]),
  )
  console.log('seconds')
  for (const [name, time] of Object.entries(seconds)) print(name, time)
  print('snap backup --incremental, one of 20 changed', nightly)
  print('  from the data directory, first', trusting)
  print('  from the data directory, one of 20 changed', files)
  print('influxd backup -portable', stock)
  print('  and wrote, in MB', (await sizeOf(dir('stock'))) / 1e6)
  console.log(`influxd takes ${(stock / nightly).toFixed(1)} times as long`)
} finally {
  server.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
}

function dir(name) {
  return join(root, name)
}

function print(name, value) {
  console.log(`${name.padEnd(48)} ${value.toFixed(2).padStart(7)}`)
}

async function sizeOf(path) {
  const sizes = (await readdir(path)).map(async (name) => (await stat(join(path, name))).size)
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

async function fill(shard, round) {
  for (let first = 0; first < POINTS; first += BATCH) {
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
