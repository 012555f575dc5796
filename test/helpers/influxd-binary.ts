import { findOrFetchProgram, findProgram, type PackagedProgram } from './packaged-program.ts'

const INFLUXD: PackagedProgram = {
  program: 'influxd',
  package: 'influxdb',
  variable: 'INFLUX_SNAP_TEST_INFLUXD',
}

/** The one line for whoever has no influxd. */
export const HOW_TO_GET_INFLUXD = `set ${INFLUXD.variable} to the path of an influxd 1.x, or run the tests where apt-get can download the package influxdb`

/** Returns the path of an influxd 1.x, if there is one. */
export function findInfluxd(): string | undefined {
  return findProgram(INFLUXD)
}

/** Returns the path of an influxd 1.x, downloaded where there is none and it can be had. */
export function findOrFetchInfluxd(): string | undefined {
  return findOrFetchProgram(INFLUXD)
}
