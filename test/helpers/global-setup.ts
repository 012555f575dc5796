import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { findOrFetchAge } from './age-binary.ts'
import { findOrInstallChromium } from './chromium-binary.ts'
import { findOrFetchInfluxd } from './influxd-binary.ts'
import { findOrInstallRadosgw } from './radosgw-binary.ts'
import { guardCeph } from './warden.ts'

/** Runs once before all test files: the workers then find the programs, and a place for an S3 server, where this has put them. */
export default function setup(project: TestProject): void {
  findOrFetchInfluxd()
  findOrFetchAge()
  findOrInstallRadosgw()
  findOrInstallChromium()
  const folder = mkdtempSync(join(tmpdir(), 'influx-snap-ceph-'))
  guardCeph(folder)
  project.provide('cephFolder', folder)
}
