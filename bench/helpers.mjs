// What the tests have for finding and guarding programs. It is in TypeScript, which vite reads, as it does for vitest.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runnerImport } from 'vite'

async function load(name) {
  const path = new URL(`../test/helpers/${name}`, import.meta.url).pathname
  const { module } = await runnerImport(path, { configFile: false, logLevel: 'error' })
  return module
}

const { guardCeph, guardDirectory, guardProcess } = await load('warden.ts')

/** However this process ends, they end or are removed with it. */
export { guardDirectory, guardProcess }

/** Returns the path of an influxd 1.x: the one on the PATH, or that of the distribution's package. */
export async function findInfluxd() {
  const { findOrFetchInfluxd, HOW_TO_GET_INFLUXD } = await load('influxd-binary.ts')
  const found = findOrFetchInfluxd()
  if (found === undefined) throw new Error(`no influxd: ${HOW_TO_GET_INFLUXD}`)
  return found
}

/** Returns how to get a radosgw; undefined if there is one. */
export async function lackOfRadosgw() {
  const { hasRadosgw, HOW_TO_GET_RADOSGW } = await load('radosgw-binary.ts')
  return hasRadosgw() ? undefined : HOW_TO_GET_RADOSGW
}

/**
 * Starts a Ceph of one node with its data in memory, until the end of this process; returns the environment in which `snap`
 * reaches it, what tells the seconds of CPU that it has taken so far, and what frees the memory of deleted objects: left to itself it
 * does that two hours later, and is full before.
 */
export async function startCeph() {
  const { startCeph: start, OWNER } = await load('ceph.ts')
  const folder = await mkdtemp(join(tmpdir(), 'snap-bench-ceph-'))
  guardCeph(folder)
  await mkdir(join(folder, 'ceph'))
  const { endpoint, dir } = await start(join(folder, 'ceph'))
  const run = join(dir, 'run')
  const files = readdirSync(run).filter((name) => name.endsWith('.pid'))
  const pids = files.map((name) => readFileSync(join(run, name), 'utf8').trim())
  const env = {
    ...process.env,
    INFLUX_SNAP_S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
    AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
    AWS_REGION: 'us-east-1',
  }
  const forTools = { env: { ...process.env, CEPH_CONF: join(dir, 'ceph.conf') } }
  return {
    env,
    cpu: () => pids.map(cpuOf).reduce((a, b) => a + b, 0),
    collect: () => execFileSync('radosgw-admin', ['gc', 'process', '--include-all'], forTools),
  }
}

const TICKS_PER_SECOND = 100

/** Seconds of CPU that a process has taken so far, see proc(5). */
function cpuOf(pid) {
  const afterName = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')
  const [user, system] = afterName.slice(11, 13).map(Number)
  return (user + system) / TICKS_PER_SECOND
}
