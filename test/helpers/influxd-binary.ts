import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** The variable that names the influxd to test against; set but empty means "none". */
const VARIABLE = 'INFLUX_SNAP_TEST_INFLUXD'

/** The one line for whoever has no influxd. */
export const HOW_TO_GET_INFLUXD = `set ${VARIABLE} to the path of an influxd 1.x, or run the tests where apt-get can download the package influxdb`

/** Returns the path of an influxd 1.x: the variable's, the first on PATH, or the one unpacked into the cache folder. */
export function findInfluxd(): string | undefined {
  const named = process.env[VARIABLE]
  if (named !== undefined) {
    if (named === '') return undefined
    if (!isExecutable(named)) throw new Error(`${VARIABLE}: ${named} is not an executable file`)
    return named
  }
  return candidates().find(isExecutable)
}

/**
 * Finds influxd as {@link findInfluxd} does, and where there is none downloads the distribution's package and unpacks
 * it into the cache folder. Nothing is installed, no root is needed.
 *
 * @returns undefined where there is no influxd and none can be had
 */
export function findOrFetchInfluxd(): string | undefined {
  const found = findInfluxd()
  if (found !== undefined || process.env[VARIABLE] !== undefined) return found
  if (!run('sh', ['-c', 'command -v apt-get && command -v dpkg-deb'])) return undefined
  mkdirSync(cacheFolder(), { recursive: true })
  const scratch = mkdtempSync(join(cacheFolder(), 'download-'))
  try {
    if (!download(scratch)) return undefined
    unpack(scratch)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return findInfluxd()
}

function candidates(): string[] {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...onPath.map((folder) => join(folder, 'influxd')), ...cached()]
}

function cached(): string[] {
  try {
    const names = readdirSync(cacheFolder()).filter((name) => name.startsWith('influxdb-'))
    return names
      .sort()
      .reverse()
      .map((name) => join(cacheFolder(), name, 'usr/bin/influxd'))
  } catch {
    return []
  }
}

function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(base, 'influx-snap')
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function download(folder: string): boolean {
  const once = () => run('apt-get', ['-qq', 'download', 'influxdb'], folder) && archive(folder)
  if (once() !== false) return true
  // The package lists of a fresh container are empty; only root may fill them.
  return process.getuid?.() === 0 && run('apt-get', ['-qq', 'update']) && once() !== false
}

function archive(folder: string): string | false {
  const name = readdirSync(folder).find((entry) => entry.endsWith('.deb'))
  return name === undefined ? false : join(folder, name)
}

function unpack(folder: string): void {
  const file = archive(folder)
  if (file === false) return
  const version = spawnSync('dpkg-deb', ['-f', file, 'Version'], { encoding: 'utf8' }).stdout.trim()
  const unpacked = join(folder, 'unpacked')
  if (!run('dpkg-deb', ['-x', file, unpacked])) return
  const home = join(cacheFolder(), `influxdb-${version.replace(/[^\w.+~-]/g, '_')}`)
  try {
    renameSync(unpacked, home)
  } catch (error) {
    // Another run was first: what it put there is the same package.
    if (findInfluxd() === undefined) throw error
  }
}

function run(command: string, args: string[], cwd = '/'): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(command, args, { cwd, env, stdio: 'ignore', timeout: 180_000 }).status === 0
}
