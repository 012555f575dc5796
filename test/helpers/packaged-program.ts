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

/** A program that a package of the distribution has. */
export interface PackagedProgram {
  /** Its file name, in `/usr/bin` of the package. */
  readonly program: string
  readonly package: string
  /** The variable that names the one to test against; set but empty means "none". */
  readonly variable: string
}

/** Returns the path of a program: the variable's, the first on PATH, or the one unpacked into the cache folder. */
export function findProgram(wanted: PackagedProgram): string | undefined {
  const named = process.env[wanted.variable]
  if (named !== undefined) {
    if (named === '') return undefined
    if (isExecutable(named)) return named
    throw new Error(`${wanted.variable}: ${named} is not an executable file`)
  }
  return candidates(wanted).find(isExecutable)
}

/**
 * Finds a program as {@link findProgram} does, and where there is none downloads the distribution's package and unpacks
 * it into the cache folder. Nothing is installed, no root is needed.
 *
 * @returns undefined where there is no such program and none can be had
 */
export function findOrFetchProgram(wanted: PackagedProgram): string | undefined {
  const found = findProgram(wanted)
  if (found !== undefined || process.env[wanted.variable] !== undefined) return found
  if (!run('sh', ['-c', 'command -v apt-get && command -v dpkg-deb'])) return undefined
  mkdirSync(cacheFolder(), { recursive: true })
  const scratch = mkdtempSync(join(cacheFolder(), 'download-'))
  try {
    if (!download(scratch, wanted.package)) return undefined
    unpack(scratch, wanted)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return findProgram(wanted)
}

function candidates({ program, package: name }: PackagedProgram): string[] {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...onPath, ...cached(name)].map((folder) => join(folder, program))
}

function cached(packageName: string): string[] {
  try {
    const names = readdirSync(cacheFolder()).filter((name) => name.startsWith(`${packageName}-`))
    return names
      .sort()
      .reverse()
      .map((name) => join(cacheFolder(), name, 'usr/bin'))
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

function download(folder: string, packageName: string): boolean {
  const once = () => run('apt-get', ['-qq', 'download', packageName], folder) && archive(folder)
  if (once() !== false) return true
  // The package lists of a fresh container are empty; only root may fill them.
  return process.getuid?.() === 0 && run('apt-get', ['-qq', 'update']) && once() !== false
}

function archive(folder: string): string | false {
  const name = readdirSync(folder).find((entry) => entry.endsWith('.deb'))
  return name === undefined ? false : join(folder, name)
}

function unpack(folder: string, wanted: PackagedProgram): void {
  const file = archive(folder)
  if (file === false) return
  const version = spawnSync('dpkg-deb', ['-f', file, 'Version'], { encoding: 'utf8' }).stdout.trim()
  const unpacked = join(folder, 'unpacked')
  if (!run('dpkg-deb', ['-x', file, unpacked])) return
  const home = join(cacheFolder(), `${wanted.package}-${version.replace(/[^\w.+~-]/g, '_')}`)
  try {
    renameSync(unpacked, home)
  } catch (error) {
    // Another run was first: what it put there is the same package.
    if (findProgram(wanted) === undefined) throw error
  }
}

function run(command: string, args: string[], cwd = '/'): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync(command, args, { cwd, env, stdio: 'ignore', timeout: 180_000 }).status === 0
}
