// A real influxd of its own, for one benchmark or for making the data of all.
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardProcess } from './helpers.mjs'

const START_MS = 60_000

/** Returns a TCP port of this machine that is free now. */
export async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Starts an influxd whose files are in `root`, with further lines for its `[data]` section, and waits until it answers. */
export async function startInfluxd(program, root, data = []) {
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
${data.join('\n')}
[coordinator]
write-timeout = "10m"
[monitor]
store-enabled = false
[retention]
enabled = false
[shard-precreation]
enabled = false
[http]
bind-address = "127.0.0.1:${http}"
log-enabled = false
`
  await writeFile(join(root, 'influxdb.conf'), config)
  const child = spawn(program, ['run', '-config', join(root, 'influxdb.conf')], { stdio: 'ignore' })
  const release = guardProcess(child.pid)
  const url = `http://127.0.0.1:${http}`
  await untilItAnswers(child, url)
  const stop = async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await new Promise((resolve) => child.on('close', resolve))
    release()
  }
  return { url, host: `127.0.0.1:${bind}`, data: join(root, 'data'), root, stop }
}

async function untilItAnswers(child, url) {
  const failed = new Promise((_, reject) => child.on('error', reject))
  for (const end = Date.now() + START_MS; ; ) {
    const answer = await Promise.race([fetch(`${url}/ping`).catch(() => undefined), failed])
    if (answer?.ok) return
    if (Date.now() > end || child.exitCode !== null) throw new Error('influxd did not start')
    await sleep(50)
  }
}

/** Runs a statement of InfluxQL. */
export async function query({ url }, q) {
  const response = await fetch(`${url}/query`, { method: 'POST', body: new URLSearchParams({ q }) })
  const text = await response.text()
  if (!response.ok || text.includes('"error"')) throw new Error(`${q}: ${text}`)
}

/** Writes lines of line protocol, times in seconds, into database `d`. */
export async function write({ url }, lines) {
  const body = lines.join('\n')
  const response = await fetch(`${url}/write?db=d&precision=s`, { method: 'POST', body })
  if (response.status !== 204) throw new Error(await response.text())
}
