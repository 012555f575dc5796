/** The first byte of every connection to port 8088: chooses the snapshotter behind influxd's multiplexer. */
export const MuxHeader = 3

/** The first 64-bit word of a metastore answer, of a shard-id map and of a legacy `meta.NN` file. */
export const BackupMagicHeader = 0x59590101

/** The second byte of a connection: what is asked. The order is influxd's and never changes. */
export const RequestType = {
  /** The files of a shard, or those changed after a time, as a tar. */
  ShardBackup: 0,
  /** The metastore and the node as one frame. */
  MetastoreBackup: 1,
  /** The series file of a database; influxd names the type but does not answer it. */
  SeriesFileBackup: 2,
  /** The paths of the shards of a database, or of all. */
  DatabaseInfo: 3,
  /** The paths of the shards of a retention policy. */
  RetentionPolicyInfo: 4,
  /** The blocks of a shard that touch a time range, as a tar. */
  ShardExport: 5,
  /** Imports databases of an uploaded metastore; answered by the map of shard ids. */
  MetaStoreUpdate: 6,
  /** Adds the files of an uploaded tar to a shard; answered by the end of the connection. */
  ShardUpdate: 7,
} as const

/** One of the values of {@link RequestType}. */
export type RequestType = (typeof RequestType)[keyof typeof RequestType]

/** The longest request in JSON, in bytes. */
export const MAX_REQUEST_SIZE = 64 * 1024

/** The longest payload of a request, in bytes. */
export const MAX_UPLOAD_SIZE = 64 * 1024 * 1024

/** The highest value of a shard id. */
export const MAX_UINT64 = 0xffff_ffff_ffff_ffffn
