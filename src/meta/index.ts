/** The metastore of InfluxDB 1.x: codec, lookups, and the import of one store's databases into another. */
export { addContinuousQuery, addUser, setPrivilege } from './add.ts'
export { decodeData, encodeData, MAX_META_SIZE } from './codec.ts'
export type { NewNames, RewrittenQuery } from './continuous-query.ts'
export { rewriteContinuousQuery } from './continuous-query.ts'
export { emptyData } from './empty.ts'
export type { Imported, ImportOptions } from './import.ts'
export { INTERNAL_DATABASE, importData } from './import.ts'
export { quoteName, quoteString } from './influxql.ts'
export type {
  ContinuousQueryInfo,
  Data,
  DatabaseInfo,
  NodeInfo,
  RetentionPolicyInfo,
  ShardGroupInfo,
  ShardInfo,
  ShardOwner,
  SubscriptionInfo,
  UserInfo,
  UserPrivilege,
} from './meta_pb.gen.ts'
export { expandNames, isPattern, matchesName } from './names.ts'
export type { ListedShard, MetaSelection } from './select.ts'
export {
  findDatabase,
  findRetentionPolicy,
  isDeleted,
  listShards,
  minimalData,
  withoutDatabases,
} from './select.ts'
export { addShardGroup, compareGroups, endOfGroup, startOfGroup } from './shard-group.ts'
export { checkWire } from './wire-check.ts'
