import { SnapError } from '../errors.ts'
import { MAX_UINT64 } from './constants.ts'

/** A shard and where it belongs. */
export interface ShardPath {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

const SHARD_PATH = /^(.*)[/\\]([^/\\]+)[/\\](0|[1-9]\d{0,19})$/su

/**
 * Parses one of the `Paths` of an info answer. Windows servers before 1.12 separate by `\`. The last two parts are
 * policy and id; all before them is the database.
 * @throws SnapError `E_PROTOCOL` if it is no such path, or a part is empty, `.` or `..`
 */
export function parseShardPath(path: string): ShardPath {
  const [, database = '', retentionPolicy = '', id = ''] = SHARD_PATH.exec(path) ?? []
  const names = [...database.split(/[/\\]/), retentionPolicy]
  const shardId = BigInt(id)
  if (names.every((name) => !/^\.{0,2}$/.test(name)) && shardId <= MAX_UINT64) {
    return { database, retentionPolicy, shardId }
  }
  throw new SnapError(
    'E_PROTOCOL',
    `shard path ${JSON.stringify(path)}: expected database/retention policy/shard id`,
  )
}
