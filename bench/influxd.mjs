// A real influxd with made-up data for the benchmarks: telegraf-like, the same with every run.
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const HOSTS = 100
const STEP = 30
const START = 1_600_041_600
const BATCH = 5000

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts an influxd in `root`. */
export async function startInfluxd(program, root) {
  await mkdir(root, { recursive: true })
  const [http, bind] = [await freePort(), await freePort()]
  const config = `reporting-disabled = true
bind-address = "127.0.0.1:${bind}"
[meta]
dir = "${root}/meta"
[data]
dir = "${root}/data"
wal-dir = "${root}/wal"
query-log-enabled = false
cache-snapshot-write-cold-duration = "1s"
[monitor]
store-enabled = false
[retention]
enabled = false
[http]
bind-address = "127.0.0.1:${http}"
log-enabled = false
`
  await writeFile(join(root, 'influxdb.conf'), config)
  const child = spawn(program, ['run', '-config', join(root, 'influxdb.conf')], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${http}`
  for (let tries = 0; ; tries++) {
    if (
      await fetch(`${url}/ping`).then(
        () => true,
        () => false,
      )
    )
      break
    if (tries > 300 || child.exitCode !== null) throw new Error('influxd did not start')
    await sleep(100)
  }
  const stop = async () => {
    child.kill('SIGTERM')
    await new Promise((resolve) => child.on('close', resolve))
  }
  return { url, host: `127.0.0.1:${bind}`, data: join(root, 'data'), root, stop }
}

export async function query({ url }, q) {
  const response = await fetch(`${url}/query`, { method: 'POST', body: new URLSearchParams({ q }) })
  if (!response.ok) throw new Error(`${q}: ${await response.text()}`)
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

/**
 * Writes `days` of 100 hosts with six fields of all types every 30 s into database `d` with shards of one day, and waits
 * until all of it is in TSM files. Returns the number of values.
 */
export async function load(server, days) {
  await query(server, 'CREATE DATABASE d WITH DURATION INF SHARD DURATION 1d')
  const walks = Array.from({ length: HOSTS * 3 }, (_, i) => walk(i + 1))
  const steps = (days * 86_400) / STEP
  let lines = []
  for (let step = 0; step < steps; step++) {
    for (let host = 0; host < HOSTS; host++) {
      const [user, system, idle] = [0, 1, 2].map((i) => walks[host * 3 + i]())
      lines.push(
        `cpu,host=host${host},region=r${host % 5} user=${user},system=${system},idle=${idle},n=${step * 7 + host}i,up=${step % 97 !== 0},state="state ${step % 11}" ${START + step * STEP}`,
      )
    }
    if (lines.length < BATCH && step < steps - 1) continue
    const response = await fetch(`${server.url}/write?db=d&precision=s`, {
      method: 'POST',
      body: lines.join('\n'),
    })
    if (response.status !== 204) throw new Error(await response.text())
    lines = []
  }
  await sleep(5000)
  return steps * HOSTS * 6
}
