import { findOrFetchAge } from './age-binary.ts'
import { findOrFetchInfluxd } from './influxd-binary.ts'

/** Runs once before all test files: the workers then find the programs where this has put them. */
export default function setup(): void {
  findOrFetchInfluxd()
  findOrFetchAge()
}
