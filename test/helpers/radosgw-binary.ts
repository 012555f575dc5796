import { findOnPath, INSTALL_VARIABLE, installIfWanted, installWords } from './apt.ts'

const PROGRAMS = ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool']
const PACKAGES = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-common']

/** The one line for whoever has no radosgw. */
export const HOW_TO_GET_RADOSGW = `apt-get ${installWords(PACKAGES).join(' ')}, or set ${INSTALL_VARIABLE}=1 to have the tests do it`

/** True if everything that is needed for a Ceph with an S3 gateway is on PATH. */
export function hasRadosgw(): boolean {
  return PROGRAMS.every((name) => findOnPath(name) !== undefined)
}

/** Installs the packages where that is wanted: on a build server, or if a variable says so. */
export function findOrInstallRadosgw(): boolean {
  if (!hasRadosgw()) installIfWanted(PACKAGES)
  return hasRadosgw()
}
