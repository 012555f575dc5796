import { type Request, RequestType } from '../protocol/index.ts'
import type { ShardBackupRequest, ShardExportRequest, ShardSelection } from './options.ts'

/** The first and last time of a point. Go's zero time as a bound would overflow in the server and select other data. */
const MIN_TIME = -(2n ** 63n) + 2n
const MAX_TIME = 2n ** 63n - 2n

/** Returns the request for the files of a shard. */
export function backupRequest(selection: ShardBackupRequest): Request {
  return { Type: RequestType.ShardBackup, ...shardFields(selection), Since: selection.since }
}

/** Returns the request for the blocks of a shard that touch a time range. */
export function exportRequest(selection: ShardExportRequest): Request {
  return {
    Type: RequestType.ShardExport,
    ...shardFields(selection),
    ExportStart: selection.start ?? MIN_TIME,
    ExportEnd: selection.end ?? MAX_TIME,
  }
}

function shardFields({ database, retentionPolicy, shardId, statement }: ShardSelection) {
  return {
    BackupDatabase: database,
    BackupRetentionPolicy: retentionPolicy,
    ShardID: shardId,
    ...(statement && ({ SnapTrailer: 1 } as const)),
  }
}
