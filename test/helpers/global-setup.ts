import { findOrFetchInfluxd } from './influxd-binary.ts'

/** Runs once before all test files: the workers then find influxd where this has put it. */
export default function setup(): void {
  findOrFetchInfluxd()
}
