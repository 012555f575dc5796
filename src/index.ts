/**
 * The library: both sides of influxd's snapshotter protocol, and the metastore it carries.
 *
 * `Client` asks a server (influxd or `snap serve`), `Service` is one over any `MetaClient` and `TSDBStore`.
 * `openDataDirectory` gives both for the directories of an InfluxDB, `openDoor` what peers of a `Service` have to pass.
 *
 * What stands here is promised (docs/versioning.md), with every type that it needs; no other module of the package is.
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
  IndexVersion,
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
  ListedShard,
  NodeInfo,
  RetentionPolicyInfo,
  ShardGroupInfo,
  ShardInfo,
  ShardOwner,
  SubscriptionInfo,
  UserInfo,
  UserPrivilege,
} from './meta/index.ts'
export {
  decodeData,
  emptyData,
  encodeData,
  findDatabase,
  importData,
  listShards,
} from './meta/index.ts'
export {
  BackupMagicHeader,
  GO_ZERO_TIME,
  type GoJson,
  type MetastoreFrame,
  MuxHeader,
  type PathState,
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
  type ObservedRequest,
  type Observer,
  openDoor,
  type PeerServerOptions,
  Service,
  type ServiceLimits,
  type ServiceOptions,
  type TSDBStore,
} from './service/index.ts'
export {
  type EntryPath,
  formatEntryName,
  packShardTar,
  parseEntryName,
  type ReadTarOptions,
  readShardTar,
  type TarEntry,
  type TarEntryInput,
} from './tar/index.ts'
