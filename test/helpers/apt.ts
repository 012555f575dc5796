import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Set to 1, it lets the tests install packages. */
export const INSTALL_VARIABLE = 'INFLUX_SNAP_TEST_INSTALL'

/** The words of apt-get that install packages. */
export function installWords(packages: readonly string[]): string[] {
  return ['install', '-qq', '-y', '--no-install-recommends', ...packages]
}

/** Installs packages where that is wanted: on a build server, or if a variable says so. */
export function installIfWanted(packages: readonly string[]): void {
  if (process.env.CI !== 'true' && process.env[INSTALL_VARIABLE] !== '1') return
  const words = installWords(packages)
  // The package lists of a fresh container are empty.
  if (!aptGet(words)) aptGet(['-qq', 'update']) && aptGet(words)
}

/** Returns where a program is on PATH. */
export function findOnPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

function aptGet(args: readonly string[]): boolean {
  const command = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]
  const [program = '', ...rest] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command]
  return spawnSync(program, rest, { stdio: 'ignore', timeout: 600_000 }).status === 0
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
