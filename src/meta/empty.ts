import { randomBytes } from 'node:crypto'
import { create } from '@bufbuild/protobuf'
import type { Data } from './meta_pb.gen.ts'
import { DataSchema } from './meta_pb.gen.ts'

/** Returns the store that a brand new influxd writes: index 1, no databases, a random 63-bit cluster id. */
export function emptyData(): Data {
  return create(DataSchema, {
    term: 0n,
    index: 1n,
    clusterId: randomBytes(8).readBigUInt64BE() >> 1n,
    maxNodeId: 0n,
    maxShardGroupId: 0n,
    maxShardId: 0n,
  })
}
