import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Data, ImportOptions } from '../../src/meta/index.ts'
import { decodeData, encodeData, importData } from '../../src/meta/index.ts'
import { encodeManifest, encodeMetaFile } from '../../src/portable/index.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockRestore,
} from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { sampleData } from './samples.ts'

const DB = 'tele.graf db'

/** The sample without what an influxd before 1.12 does not know. */
function uploaded(): Data {
  const data = sampleData()
  for (const database of data.databases) {
    for (const policy of database.retentionPolicies) policy.futureWriteLimit = 0n
  }
  return decodeData(encodeData(data))
}

/** A portable directory with a metastore and no archives. */
async function metaOnly(data: Data): Promise<string> {
  const directory = await tempDir('meta-only')
  const bytes = encodeData(data)
  const meta = { fileName: 'x.meta', size: bytes.length, unknown: {} }
  await writeFile(join(directory, meta.fileName), encodeMetaFile(bytes))
  const manifest = encodeManifest({ meta, limited: false, files: [], unknown: {} })
  await writeFile(join(directory, 'x.manifest'), manifest)
  return directory
}

/** Names, ids and times of a store, without what influxd counts for itself. */
function contents({ databases, maxShardGroupId, maxShardId, users }: Data) {
  const comparable = databases.map(
    ({ name, defaultRetentionPolicy, retentionPolicies, ...rest }) => ({
      ...{ name, defaultRetentionPolicy, queries: rest.continuousQueries.length },
      policies: retentionPolicies.map((policy) => ({
        ...{ name: policy.name, duration: policy.duration, replicaN: policy.replicaN },
        ...{ shardGroupDuration: policy.shardGroupDuration },
        subscriptions: policy.subscriptions.map(({ name, mode, destinations }) => ({
          ...{ name, mode, destinations },
        })),
        groups: policy.shardGroups.map((group) => ({
          ...{ id: group.id, start: group.startTime, end: group.endTime },
          ...{ deleted: group.deletedAt, truncated: group.truncatedAt },
          shards: group.shards.map(({ id, owners }) => ({ id, owners: owners.length })),
        })),
      })),
    }),
  )
  return { databases: comparable, maxShardGroupId, maxShardId, users: users.length }
}

const read = async ({ dirs }: Influxd) => decodeData(await readFile(join(dirs.meta, 'meta.db')))

describeWithInfluxd('importData beside a real influxd', () => {
  it.each<[string, ImportOptions, readonly string[]]>([
    ['everything', {}, []],
    ['one database', { backupDatabase: DB }, ['-db', DB]],
    [
      'one policy under new names',
      {
        ...{ backupDatabase: DB, restoreDatabase: 'new' },
        ...{ backupRetentionPolicy: 'autogen', restoreRetentionPolicy: 'b' },
      },
      ['-db', DB, '-newdb', 'new', '-rp', 'autogen', '-newrp', 'b'],
    ],
  ])('imports %s with the same names and ids', async (_what, options, flags) => {
    const influxd = await startInfluxd()
    try {
      await influxd.query('CREATE DATABASE before')
      await influxd.write('m v=1 1', { db: 'before' })
      const other = uploaded()
      const directory = await metaOnly(other)
      const before = await read(influxd)
      const { code } = await stockRestore(['-portable', '-host', influxd.host, ...flags, directory])
      expect(code).toBe(0)
      const { data } = importData(before, other, options)
      expect(contents(data)).toEqual(contents(await read(influxd)))
    } finally {
      await influxd.dispose()
    }
  })
})
