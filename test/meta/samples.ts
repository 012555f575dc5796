import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { Data } from '../../src/meta/index.ts'
import { DataSchema } from '../../src/meta/meta_pb.gen.ts'

const WEEK = 604_800_000_000_000n

/** A store with every kind of thing in it: two databases, a deleted group, a query, users, nodes. */
export function sampleData(): Data {
  return create(DataSchema, {
    term: 1n,
    index: 42n,
    clusterId: 0x7fff_ffff_ffff_ffffn,
    maxNodeId: 0n,
    maxShardGroupId: 20n,
    maxShardId: 0xffff_ffff_ffff_ff00n,
    metaNodes: [{ id: 1n, host: 'a:8091', tcpHost: 'a:8089' }],
    users: [
      {
        name: 'root',
        hash: '$2a$10$abc',
        admin: true,
        privileges: [{ database: 'telegraf', privilege: 3 }],
      },
    ],
    databases: [
      {
        name: '_internal',
        defaultRetentionPolicy: 'monitor',
        retentionPolicies: [
          {
            name: 'monitor',
            duration: WEEK,
            shardGroupDuration: WEEK / 7n,
            replicaN: 1,
            shardGroups: [
              { id: 1n, startTime: 0n, endTime: WEEK, deletedAt: 0n, shards: [{ id: 1n }] },
            ],
          },
        ],
      },
      {
        name: 'tele.graf db',
        defaultRetentionPolicy: 'autogen',
        continuousQueries: [{ name: 'cq', query: 'CREATE CONTINUOUS QUERY cq ...' }],
        retentionPolicies: [
          {
            name: 'autogen',
            duration: 0n,
            shardGroupDuration: WEEK,
            replicaN: 1,
            futureWriteLimit: 5n,
            shardGroups: [
              {
                id: 3n,
                startTime: -WEEK,
                endTime: 0n,
                deletedAt: 0n,
                shards: [{ id: 10n, owners: [{ nodeId: 1n }], ownerIds: [2n] }, { id: 11n }],
              },
              { id: 4n, startTime: 0n, endTime: WEEK, deletedAt: 7n, shards: [{ id: 100n }] },
              {
                id: 5n,
                startTime: WEEK,
                endTime: 2n * WEEK,
                deletedAt: 0n,
                truncatedAt: WEEK + 1n,
                shards: [{ id: 0xffff_ffff_ffff_ff00n }],
              },
            ],
            subscriptions: [{ name: 's', mode: 'ANY', destinations: ['udp://x:1', 'http://y'] }],
          },
          { name: 'ünï', duration: WEEK, shardGroupDuration: WEEK, replicaN: 2 },
        ],
      },
    ],
  })
}

const id = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })
const time = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((s) => !s.startsWith('\ufeff'))

const group = fc.record({
  id,
  startTime: time,
  endTime: time,
  deletedAt: time,
  shards: fc.array(fc.record({ id }), { maxLength: 3 }),
})

const policy = fc.record({
  name: text,
  duration: time,
  shardGroupDuration: time,
  replicaN: fc.nat(),
  shardGroups: fc.array(group, { maxLength: 3 }),
})

const database = fc.record({
  name: text,
  defaultRetentionPolicy: text,
  retentionPolicies: fc.array(policy, { maxLength: 3 }),
})

/** Any store with up to three databases of up to three policies of up to three groups. */
export const arbitraryData: fc.Arbitrary<Data> = fc
  .record({
    term: id,
    index: id,
    clusterId: id,
    maxNodeId: id,
    maxShardGroupId: fc.bigInt({ min: 0n, max: 1n << 60n }),
    maxShardId: fc.bigInt({ min: 0n, max: 1n << 60n }),
    databases: fc.array(database, { maxLength: 3 }),
  })
  .map((init) => create(DataSchema, init))
