import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './ports.ts'
import { run } from './run.ts'

/** A Ceph of one node with an S3 gateway, on loopback, its data in memory. */
export interface Ceph {
  /** All its files. */
  readonly dir: string
  /** URL of the gateway. */
  readonly endpoint: string
}

/** A key of the gateway. */
export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The user that makes the buckets of tests. */
export const OWNER: Keys = { accessKeyId: 'snapkey', secretAccessKey: 'snapsecret' }

const START_MS = 60_000
const GATEWAY = 'client.rgw.a'

/** Starts a Ceph with its files in `dir`, which must be empty. Its processes go on by themselves; their ids are in `run`. */
export async function startCeph(dir: string): Promise<Ceph> {
  const [mon2 = 0, mon1 = 0, port = 0] = await freePorts(3)
  const ceph = { dir, endpoint: `http://127.0.0.1:${port}` }
  for (const name of ['mon', 'osd', 'run', 'log']) await mkdir(join(dir, name))
  const fsid = randomUUID()
  const monitor = `[v2:127.0.0.1:${mon2},v1:127.0.0.1:${mon1}]`
  await writeFile(join(dir, 'ceph.conf'), configOf(dir, { fsid, monitor, port }))
  const map = join(dir, 'monmap')
  await tool(ceph, 'monmaptool', '--create', '--fsid', fsid, '--addv', 'a', monitor, map)
  await tool(ceph, 'ceph-mon', '-i', 'a', '--mkfs', '--monmap', map)
  await tool(ceph, 'ceph-mon', '-i', 'a')
  const osd = randomUUID()
  const id = (await tool(ceph, 'ceph', 'osd', 'new', osd)).trim()
  await tool(ceph, 'ceph-osd', '-i', id, '--mkfs', '--osd-uuid', osd)
  await tool(ceph, 'ceph-osd', '-i', id)
  await addUser(ceph, 'snap', OWNER)
  await startGateway(ceph)
  return ceph
}

/** Starts the gateway (again) and waits until it answers. */
export async function startGateway(ceph: Ceph): Promise<void> {
  await tool(ceph, 'radosgw', '-n', GATEWAY)
  const deadline = Date.now() + START_MS
  while (!(await accepts(Number(new URL(ceph.endpoint).port)))) {
    if (Date.now() > deadline) throw new Error(`radosgw does not answer on ${ceph.endpoint}`)
    await sleep(20)
  }
}

/** Adds a user to the gateway. */
export async function addUser(ceph: Ceph, uid: string, keys: Keys): Promise<void> {
  const key = [`--access-key=${keys.accessKeyId}`, `--secret-key=${keys.secretAccessKey}`]
  await tool(
    ceph,
    'radosgw-admin',
    'user',
    'create',
    `--uid=${uid}`,
    `--display-name=${uid}`,
    ...key,
  )
}

/** The process of the gateway, or of the one OSD that holds all data. */
export function cephPid({ dir }: Ceph, daemon: 'gateway' | 'osd'): number {
  const name = daemon === 'gateway' ? GATEWAY : 'osd.0'
  return Number(readFileSync(join(dir, 'run', `${name}.pid`), 'utf8'))
}

async function tool({ dir }: Ceph, command: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, CEPH_CONF: join(dir, 'ceph.conf') }
  const { code, stdout, stderr } = await run(command, args, { env, timeout: START_MS })
  if (code === 0) return stdout
  const log = join(dir, 'log', 'ceph.log')
  const said = existsSync(log) ? (await readFile(log, 'utf8')).slice(-2000) : ''
  throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${stderr}\n${said}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

interface CephConfig {
  readonly fsid: string
  readonly monitor: string
  readonly port: number
}

/** Without keys between its parts and without a manager; each line that is no path or address makes one OSD enough, or it quick. */
function configOf(dir: string, { fsid, monitor, port }: CephConfig): string {
  return `[global]
fsid = ${fsid}
mon_host = ${monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
ms_mon_client_mode = crc
mon_data = ${dir}/mon
osd_data = ${dir}/osd
run_dir = ${dir}/run
admin_socket = ${dir}/run/$name.asok
pid_file = ${dir}/run/$name.pid
log_file = ${dir}/log/ceph.log
mon_cluster_log_file = ${dir}/log/cluster.log
crash_dir = ${dir}/crash
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 939524096
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_warn_on_pool_no_redundancy = false
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
debug_none = 0/0
rgw_frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw_crypt_require_ssl = false
rgw_thread_pool_size = 32
`
}
