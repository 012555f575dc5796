import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Set to 1, it lets the tests install the packages. */
const VARIABLE = 'INFLUX_SNAP_TEST_INSTALL'
const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool']
const PACKAGES = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common']
const INSTALL = ['install', '-qq', '-y', '--no-install-recommends', ...PACKAGES]

/** The one line for whoever has no radosgw. */
export const HOW_TO_GET_RADOSGW = `apt-get ${INSTALL.join(' ')}, or set ${VARIABLE}=1 to have the tests do it`

/** True if everything that is needed for a Ceph with an S3 gateway is on PATH. */
export function hasRadosgw(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return PROGRAMS.every((name) => folders.some((folder) => isExecutable(join(folder, name))))
}

/** Installs the packages where that is wanted: on a build server, or if a variable says so. */
export function findOrInstallRadosgw(): boolean {
  if (hasRadosgw()) return true
  if (process.env.CI !== 'true' && process.env[VARIABLE] !== '1') return false
  // The package lists of a fresh container are empty.
  if (!aptGet(INSTALL)) aptGet(['-qq', 'update']) && aptGet(INSTALL)
  return hasRadosgw()
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
