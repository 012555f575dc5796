// What the tests have for finding and guarding programs. It is in TypeScript, which vite reads, as it does for vitest.
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

/** Starts a Ceph of one node with its data in memory, until the end of this process; returns how `snap` reaches it. */
export async function startCeph() {
  const { startCeph: start, OWNER } = await load('ceph.ts')
  const folder = await mkdtemp(join(tmpdir(), 'snap-bench-ceph-'))
  guardCeph(folder)
  await mkdir(join(folder, 'ceph'))
  const { endpoint } = await start(join(folder, 'ceph'))
  return {
    ...process.env,
    INFLUX_SNAP_S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
    AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
    AWS_REGION: 'us-east-1',
  }
}
