import { EXIT_CODES, recode, SnapError } from '../errors.ts'
import { findDatabase } from '../meta/index.ts'
import type { DatabasePlan, RestorePlan } from './restore-plan.ts'
import type { OpenServer } from './server.ts'

/** Runs work on the far side of a restore and gives its failures the code of a destination. */
export async function atDestination<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    throw recode(error, 'E_DESTINATION')
  }
}

/**
 * Throws if the server has a database of a name that is to be made.
 * @throws SnapError `E_TARGET_EXISTS`, or `E_DESTINATION` if the server cannot be asked
 */
export async function refuseExisting(
  { databases }: RestorePlan,
  { client, name }: OpenServer,
  signal: AbortSignal,
): Promise<void> {
  const data = await atDestination(() => client.metastoreBackup(signal))
  for (const { newDatabase } of databases) {
    if (findDatabase(data, newDatabase) === undefined) continue
    const message = `database ${JSON.stringify(newDatabase)} exists on ${name}`
    throw new SnapError('E_TARGET_EXISTS', message, {
      hint: 'restore under another name with --newdb, or drop the database first',
    })
  }
}

/**
 * Makes a database with its policies and empty shards and returns the map of old to new shard ids.
 * @throws SnapError `E_DESTINATION`
 */
export async function createDatabase(
  plan: DatabasePlan,
  { client }: OpenServer,
  signal: AbortSignal,
): Promise<Map<bigint, bigint>> {
  const { database, newDatabase, retentionPolicy, newRetentionPolicy, metaBytes } = plan
  const request = {
    BackupDatabase: database,
    RestoreDatabase: newDatabase,
    BackupRetentionPolicy: retentionPolicy,
    RestoreRetentionPolicy: newRetentionPolicy,
  }
  return await atDestination(async () => {
    try {
      return await client.updateMeta(request, [metaBytes], signal)
    } catch (error) {
      // A database without shards is answered like a refusal: look which it was.
      if (plan.shards.length > 0 || !(error instanceof SnapError)) throw error
      const data = await client.metastoreBackup(signal)
      if (findDatabase(data, newDatabase) === undefined) throw error
      return new Map()
    }
  })
}
