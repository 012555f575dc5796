import { readdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errnoOf, messageOf } from '../errors.ts'
import { PROC, readLink, readProcess, readText } from '../io/proc.ts'
import { directoriesOfInfluxd, isInfluxd } from './influxd-process.ts'

/** A process that uses one of the directories. */
export interface Occupant {
  readonly pid: number
  readonly command: string
  /** What it has open, mapped or stands in, as that process sees it; or a directory its configuration names. */
  readonly path: string
}

/** Who uses the directories, and why somebody might do so unseen. */
export interface Occupancy {
  readonly inUse: readonly Occupant[]
  /** Why not everything can be seen, one clause each; empty when everything was. */
  readonly unseen: readonly string[]
}

/** `/proc/self/ns/pid` in the machine's own PID namespace: a constant of Linux. */
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]'

/** Processes looked at before other work gets its turn. */
const BATCH = 64

/** Names of processes that a message lists. */
const LISTED = 5

/** `statfs` types of file systems that another machine or kernel may be using at the same time. */
const SHARED_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x7461636f, 'OCFS2'],
  [0x01161970, 'GFS2'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x786f4256, 'VirtualBox'],
])

function idOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** How a process sees the file system. */
interface View {
  readonly namespace: string
  /** Leads into that view from here: empty if it is ours too. */
  readonly prefix: string
}

/**
 * Tells whether a path leads into one of the directories. Directories are compared by device and inode, so a bind mount
 * or the volume of a container is recognised under whatever name the process knows it.
 */
class Territory {
  readonly #ids: ReadonlySet<string | undefined>
  readonly #known = new Map<string, Map<string, boolean>>()

  constructor(directories: readonly string[]) {
    this.#ids = new Set(directories.map(idOf).filter((id) => id !== undefined))
  }

  holds(path: string, { namespace, prefix }: View): boolean {
    const known = this.#known.get(namespace) ?? new Map<string, boolean>()
    this.#known.set(namespace, known)
    const isInside = (at: string): boolean => {
      const answer = known.get(at)
      if (answer !== undefined) return answer
      const parent = dirname(at)
      const inside = this.#ids.has(idOf(prefix + at)) || (parent !== at && isInside(parent))
      known.set(at, inside)
      return inside
    }
    return isInside(path)
  }
}

/** Yields the paths of what a process has open and of what it has mapped. */
function* filesOf(directory: string): Generator<string> {
  for (const fd of readdirSync(join(directory, 'fd'))) {
    const target = readLink(join(directory, 'fd', fd))
    if (target?.startsWith('/')) yield target
  }
  let last = ''
  for (const line of readText(join(directory, 'maps'))?.split('\n') ?? []) {
    const start = line.indexOf('/')
    const path = start === -1 ? last : line.slice(start)
    if (path === last) continue
    last = path
    yield path
  }
}

interface Scan {
  readonly proc: string
  readonly ownNamespace: string | undefined
  readonly territory: Territory
  readonly inUse: Occupant[]
  readonly unseen: string[]
  /** `command (pid)` of processes that may not be looked into. */
  readonly closed: string[]
}

async function findUse(scan: Scan, directory: string): Promise<string | undefined> {
  const namespace = readLink(join(directory, 'ns/mnt')) ?? directory
  const isOurs = namespace === scan.ownNamespace
  const view: View = { namespace, prefix: isOurs ? '' : join(directory, 'root') }
  for (const path of filesOf(directory)) {
    if (scan.territory.holds(path, view)) return path
  }
  // Whoever started snap inside the directory stands there too: only other places tell something.
  const cwd = readLink(join(directory, 'cwd'))
  if (cwd !== undefined && cwd !== process.cwd() && scan.territory.holds(cwd, view)) return cwd
  if (!isInfluxd(directory)) return undefined
  const told = await directoriesOfInfluxd(directory)
  return told.find((path) => scan.territory.holds(path, view))
}

/** Looks at one process. One that ends meanwhile uses nothing. */
async function inspect(scan: Scan, pid: number): Promise<void> {
  const directory = join(scan.proc, String(pid))
  const command = () => readProcess(pid, scan.proc)?.command ?? '?'
  try {
    const path = await findUse(scan, directory)
    if (path !== undefined) scan.inUse.push({ pid, command: command(), path })
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ESRCH') return
    if (errno !== 'EACCES' && errno !== 'EPERM') {
      scan.unseen.push(`process ${pid} (${command()}): ${messageOf(error)}`)
    } else if (readProcess(pid, scan.proc)?.isKernel === false) {
      scan.closed.push(`${command()} (${pid})`)
    }
  }
}

/** Says what keeps processes out of sight altogether. */
function blindSpots(proc: string): string[] {
  if (readLink(join(proc, 'self')) !== String(process.pid))
    return [`${proc} shows no processes here`]
  const reasons: string[] = []
  if (readLink(join(proc, 'self/ns/pid')) !== INITIAL_PID_NAMESPACE) {
    reasons.push('processes outside this PID namespace (container) cannot be seen')
  }
  if (readProcess(1, proc) === undefined) {
    reasons.push(`${proc} hides the processes of other users (hidepid)`)
  }
  return reasons
}

/** Returns the `statfs` type of where a directory is, or would be. */
function fileSystemType(directory: string): number {
  if (idOf(directory) === undefined) return fileSystemType(dirname(directory))
  return statfsSync(directory).type >>> 0
}

function sharedFileSystems(directories: readonly string[]): string[] {
  return directories.flatMap((directory) => {
    const kind = SHARED_FILE_SYSTEMS.get(fileSystemType(directory))
    return kind === undefined ? [] : [`${directory} is on ${kind}, which other machines may use`]
  })
}

function describeClosed(closed: readonly string[]): string[] {
  if (closed.length === 0) return []
  const more = closed.length > LISTED ? ', ...' : ''
  const influxdFirst = [...closed].sort(
    (a, b) => Number(b.startsWith('influxd ')) - Number(a.startsWith('influxd ')),
  )
  const named = influxdFirst.slice(0, LISTED).join(', ')
  return [`${closed.length} processes of other users cannot be looked into: ${named}${more}`]
}

/**
 * Finds the processes, this one excepted, that have a file in one of `directories` open or mapped or stand in it, and any
 * influxd that is configured for them. Looks at every process each time: about 0.1 ms for one.
 * @param directories absolute; one that is not there is used by nobody
 * @param proc where the processes are shown
 */
export async function findOccupants(
  directories: readonly string[],
  proc = PROC,
): Promise<Occupancy> {
  const unseen = [...blindSpots(proc), ...sharedFileSystems(directories)]
  const scan: Scan = {
    proc,
    ownNamespace: readLink(join(proc, 'self/ns/mnt')),
    territory: new Territory(directories),
    inUse: [],
    unseen,
    closed: [],
  }
  const pids = unseen.length > 0 && readLink(join(proc, 'self')) === undefined ? [] : pidsIn(proc)
  for (const [index, pid] of pids.entries()) {
    if (index % BATCH === BATCH - 1) await nextTurn()
    if (pid !== process.pid) await inspect(scan, pid)
  }
  return { inUse: scan.inUse, unseen: [...unseen, ...describeClosed(scan.closed)] }
}

function pidsIn(proc: string): number[] {
  return readdirSync(proc)
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
}
