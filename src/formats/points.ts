import type { Block, FieldType } from '../tsm/values.ts'

/** All points of one field of one series, as the merged files of a shard give them. */
export interface FieldPoints {
  /** The composite key of TSM: series key, `#!~#`, field. */
  readonly key: Uint8Array
  readonly type: FieldType
  /** In ascending order of time. Read once. */
  readonly blocks: AsyncIterable<Block>
}
