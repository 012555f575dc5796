/** A data directory of InfluxDB 1.x: found, read beside a running influxd, and changed while none runs. */
export type { DataDirectoryPaths, IndexVersion, PathOptions } from './config.ts'
export { resolveDataDirectory } from './config.ts'
export type { DataDirectory, OpenOptions } from './open.ts'
export { openDataDirectory } from './open.ts'
export type { OpenShard } from './shard-files.ts'
export type { WriteFiles } from './stage.ts'
