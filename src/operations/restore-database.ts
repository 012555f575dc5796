import { SnapError } from '../errors.ts'
import { type Data, decodeData, findDatabase, listShards } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import { differenceInMade } from './check-made.ts'
import type { DatabasePlan } from './restore-plan.ts'
import type { OpenServer } from './server.ts'

/**
 * Throws if a server has a database of a name that is to be made.
 * @param hint more to do about it
 * @throws SnapError `E_TARGET_EXISTS`
 */
export function refuseExisting(
  { newDatabase }: Pick<DatabasePlan, 'newDatabase'>,
  { data, name }: { readonly data: Data; readonly name: string },
  hint?: string,
): void {
  if (findDatabase(data, newDatabase) === undefined) return
  const message = `database ${JSON.stringify(newDatabase)} exists on ${name}`
  const others =
    'put points into it with --merge, restore under another name with --newdb, or drop the database first'
  throw new SnapError('E_TARGET_EXISTS', message, {
    hint: hint === undefined ? others : `${hint}; else ${others}`,
  })
}

/**
 * Makes a database with its policies and empty shards, looks at what was made and returns the map of old to new shard ids.
 * @throws SnapError `E_DESTINATION`
 */
export async function createDatabase(
  plan: DatabasePlan,
  server: Pick<OpenServer, 'client' | 'name'>,
  signal: AbortSignal,
): Promise<ReadonlyMap<bigint, bigint>> {
  const { database, newDatabase, retentionPolicy, newRetentionPolicy, metaBytes } = plan
  const { client } = server
  const request = {
    BackupDatabase: database,
    RestoreDatabase: newDatabase,
    BackupRetentionPolicy: retentionPolicy,
    RestoreRetentionPolicy: newRetentionPolicy,
  }
  return await atDestination(async () => {
    const ids = await client.updateMeta(request, [metaBytes], signal).catch(async (error) => {
      // A database without shards is answered like a refusal: look which it was.
      if (plan.shards.length > 0 || !(error instanceof SnapError)) throw error
      const data = await client.metastoreBackup(signal)
      if (findDatabase(data, newDatabase) === undefined) throw error
      return new Map<bigint, bigint>()
    })
    await checkMade(plan, { server, ids }, signal)
    return ids
  })
}

async function checkMade(
  plan: DatabasePlan,
  made: {
    readonly server: Pick<OpenServer, 'client' | 'name'>
    readonly ids: ReadonlyMap<bigint, bigint>
  },
  signal: AbortSignal,
): Promise<void> {
  const { server, ids } = made
  const look = async () =>
    differenceInMade(plan, { data: await server.client.metastoreBackup(signal), ids })
  // What is seen only once was damaged on the way here.
  const difference = (await look()) && (await look())
  if (difference === undefined) return
  const name = JSON.stringify(plan.newDatabase)
  const message = `database ${name} on ${server.name} is not what was sent: ${difference}`
  throw new SnapError('E_DESTINATION', message, {
    hint: 'the connection damages what goes over it, or the server does: the database is not to be used',
  })
}

/**
 * Finds the shards of a database that was made by an update whose answer did not arrive: groups keep their times and their
 * order. Returns the map of old to new shard ids, or undefined if the database is not there or is another one.
 */
export function findShardIds(data: Data, plan: DatabasePlan): Map<bigint, bigint> | undefined {
  if (findDatabase(data, plan.newDatabase) === undefined) return undefined
  const expected = listShards(decodeData(plan.metaBytes)).filter(
    ({ database }) => database === plan.database,
  )
  const got = listShards(data).filter(({ database }) => database === plan.newDatabase)
  if (got.length !== expected.length) return undefined
  const ids = new Map<bigint, bigint>()
  for (const [i, { retentionPolicy, group, shard }] of expected.entries()) {
    const made = got[i]
    const policy = plan.newRetentionPolicy ?? retentionPolicy
    const isSame =
      made?.retentionPolicy === policy &&
      made.group.startTime === group.startTime &&
      made.group.endTime === group.endTime
    if (!isSame) return undefined
    ids.set(shard.id, made.shard.id)
  }
  return ids
}
