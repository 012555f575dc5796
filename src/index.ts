/**
 * The library: both sides of influxd's snapshotter protocol, and the metastore it carries.
 *
 * `Client` asks a server (influxd or `snap serve`), `Service` is one over any `MetaClient` and `TSDBStore`.
 * `openDataDirectory` gives both for the directories of an InfluxDB, `openDoor` what peers of a `Service` have to pass.
 */

export type {
  ClientTls,
  ShardBackupRequest,
  ShardExportRequest,
  ShardSelection,
} from './client/index.ts'
export { Client, type ClientOptions, type Host, type MetaUpdateRequest } from './client/index.ts'
export type {
  DataDirectory,
  DataDirectoryPaths,
  OpenOptions,
  PathOptions,
} from './datadir/index.ts'
export { openDataDirectory, resolveDataDirectory } from './datadir/index.ts'
export { type ErrorCode, EXIT_CODES, SnapError, type SnapErrorOptions } from './errors.ts'
export { duplexPair } from './io/duplex-pair.ts'
export type {
  ContinuousQueryInfo,
  Data,
  DatabaseInfo,
  Imported,
  ImportOptions,
  RetentionPolicyInfo,
  ShardGroupInfo,
  ShardInfo,
  UserInfo,
} from './meta/index.ts'
export { decodeData, encodeData, importData, listShards } from './meta/index.ts'
export {
  BackupMagicHeader,
  GO_ZERO_TIME,
  MuxHeader,
  type Request,
  RequestType,
  type Response,
} from './protocol/index.ts'
export {
  type Awaitable,
  type Bind,
  type Door,
  type DoorFiles,
  type Logger,
  type MetaClient,
  openDoor,
  Service,
  type ServiceLimits,
  type ServiceOptions,
  type TSDBStore,
} from './service/index.ts'
export { packShardTar, readShardTar, type TarEntry, type TarEntryInput } from './tar/index.ts'
