import type { Client, HttpClient } from '../client/index.ts'
import { messageOf, SnapError } from '../errors.ts'
import { type Data, findDatabase, listShards, quoteName } from '../meta/index.ts'
import type { NoteLevel, Progress } from './progress.ts'
import { findShardIds } from './restore-database.ts'
import type { DatabasePlan } from './restore-plan.ts'
import type { OpenServer } from './server.ts'
import { expectSame } from './server-http.ts'

/** A database that a run has made, or begun to make. */
export interface MadeDatabase {
  readonly plan: DatabasePlan
  /** From old to new shard ids; undefined until the server has said them. */
  ids: ReadonlyMap<bigint, bigint> | undefined
  /** Ids in the backup of the shards that something was sent to. */
  readonly begun: Set<bigint>
  /** Of those that are restored. */
  readonly finished: Set<bigint>
  /** True once the server had points that were not sent to it. */
  isWrittenTo: boolean
}

/** What is left of a failed restore. */
export interface CleanedUp {
  /** True if nothing is left. */
  readonly isClean: boolean
  /** What to do next; undefined if there was nothing to remove. */
  readonly hint: string | undefined
}

/** How a failed restore is cleaned up. */
export interface CleanUpOptions {
  readonly server: OpenServer
  /** The server's HTTP API, over which databases can be dropped, found to be the same before the run made any. */
  readonly http: HttpClient | undefined
  /** What was made stays, to be resumed. */
  readonly keep: boolean
  readonly progress: Progress
}

/** Longest time in ms for all of it: the run has failed already. */
const CLEAN_UP_MS = 60_000
/** Shards named one by one. */
const NAMED = 20

/**
 * Removes what a failed restore has made: from a data directory, and from a server whose HTTP API was seen to lack it
 * before and has it now. Of what has to stay it tells what it is and which statement removes it. Never throws.
 */
export async function cleanUp(
  made: readonly MadeDatabase[],
  options: CleanUpOptions,
): Promise<CleanedUp> {
  const { server, progress } = options
  if (made.length === 0) return { isClean: true, hint: undefined }
  const signal = AbortSignal.timeout(CLEAN_UP_MS)
  const left: string[] = []
  let removed = 0
  const data = await server.client.metastoreBackup(signal).catch(() => undefined)
  for (const database of made.toReversed()) {
    const { newDatabase } = database.plan
    if (data !== undefined && findDatabase(data, newDatabase) === undefined) continue
    const remains = await remove({ ...database, data }, options, signal)
    const name = `database ${JSON.stringify(newDatabase)}`
    const note = (level: NoteLevel, message: string) => progress({ type: 'note', level, message })
    if (remains === undefined) note('info', `removed ${name} from ${server.name} again`)
    else note('error', `left on ${server.name}: ${name}: ${remains}`)
    if (remains === undefined) removed++
    else left.push(newDatabase)
  }
  return { isClean: left.length === 0, hint: nextStep(left, removed, options) }
}

function nextStep(
  left: readonly string[],
  removed: number,
  { server, keep }: CleanUpOptions,
): string | undefined {
  if (left.length === 0) {
    return removed === 0 ? undefined : `what was made on ${server.name} was removed again`
  }
  const names = left.map((name) => JSON.stringify(name)).join(', ')
  const drops = left.map((name) => `DROP DATABASE ${quoteName(name)}`).join('; ')
  const what = `incomplete on ${server.name}: ${names}`
  if (keep || server.directory !== undefined) return `${what}; --resume goes on with it`
  return `${what}; --resume goes on with it, ${drops} removes it`
}

type Remains = MadeDatabase & { readonly data: Data | undefined }

/** Removes one database. Returns what it is that stays, and why. */
async function remove(
  database: Remains,
  options: CleanUpOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { data, plan } = database
  if (data === undefined) return 'the server does not answer'
  // A lock keeps everybody else out of a directory; on a server it may be somebody else's database by now.
  const found = options.server.directory && findShardIds(data, plan)
  const ids = database.ids ?? found
  if (ids === undefined) return 'it may be of this run, the answer of the server did not arrive'
  const known = { ...database, ids, data }
  if (options.keep) return describe(known, undefined)
  try {
    if (options.server.directory !== undefined) {
      await options.server.directory.dropDatabase(plan.newDatabase, new Set(ids.values()))
      return undefined
    }
    return await removeOverHttp(known, options, signal)
  } catch (error) {
    return `it cannot be removed: ${messageOf(error)}`
  }
}

type Known = Remains & {
  readonly data: Data
  readonly ids: ReadonlyMap<bigint, bigint>
}

async function removeOverHttp(
  database: Known,
  { server, http }: CleanUpOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { plan, data, ids } = database
  const holding = await findHolding(database, server.client, signal)
  const remains = describe(database, holding)
  const strangers = strangersIn(data, database)
  if (strangers.length > 0) return `${remains}; shards ${list(strangers)} are not of this run`
  const begun = new Set([...database.begun].map((id) => ids.get(id)))
  const isWrittenTo =
    database.isWrittenTo || [...holding].some(([id, has]) => has && !begun.has(id))
  if (isWrittenTo) return `${remains}; something else writes to it`
  if (http === undefined) return remains
  try {
    const place = { url: http.url }
    await expectSame(http, server, { place, signal })
    const drop = `DROP DATABASE ${quoteName(plan.newDatabase)}`
    await http.query(drop, { signal, deadline: CLEAN_UP_MS })
  } catch (error) {
    return `${remains}; ${messageOf(error)}`
  }
  const now = await server.client.metastoreBackup(signal)
  return findDatabase(now, plan.newDatabase) === undefined ? undefined : remains
}

/** Live shards of the database that this run did not make: a writer opened a group of its own. */
function strangersIn(data: Data, { plan, ids }: Known): bigint[] {
  const ours = new Set(ids.values())
  return listShards(data)
    .filter(({ database, shard }) => database === plan.newDatabase && !ours.has(shard.id))
    .map(({ shard }) => shard.id)
}

/** A shard without files is an empty tar. */
const EMPTY_SIZE = 1024

/** Tells of each new shard whether it holds data; those that cannot be read are left out. */
async function findHolding(
  { plan, ids, finished }: Known,
  client: Client,
  signal: AbortSignal,
): Promise<ReadonlyMap<bigint, boolean>> {
  const holding = new Map<bigint, boolean>()
  const { newDatabase: database, newRetentionPolicy = '' } = plan
  for (const [old, shardId] of ids) {
    if (finished.has(old)) holding.set(shardId, true)
    else {
      const shard = { database, retentionPolicy: newRetentionPolicy, shardId }
      const has = await holdsData(client.shardBackup(shard, signal)).catch(() => undefined)
      if (has !== undefined) holding.set(shardId, has)
    }
  }
  return holding
}

async function holdsData(tar: AsyncIterable<Uint8Array>): Promise<boolean> {
  let size = 0
  for await (const chunk of tar) {
    size += chunk.length
    if (size > EMPTY_SIZE) return true
  }
  if (size === EMPTY_SIZE) return false
  throw new SnapError('E_CUT', `a tar of ${size} bytes`)
}

/** Says which of the new shards hold data. Without having looked, those that are restored do. */
function describe(
  { ids, finished }: Known,
  holding: ReadonlyMap<bigint, boolean> | undefined,
): string {
  const stateOf = (old: bigint, id: bigint) => {
    if (holding === undefined) return finished.has(old) ? 'restored' : 'not restored'
    const has = holding.get(id)
    return has === undefined ? 'not known' : has ? 'with data' : 'empty'
  }
  const states = new Map<string, bigint[]>()
  for (const [old, id] of ids) {
    const state = stateOf(old, id)
    states.set(state, [...(states.get(state) ?? []), id])
  }
  if (states.size === 0) return 'without shards'
  return [...states].map(([state, shards]) => `shards ${state}: ${list(shards)}`).join('; ')
}

function list(shards: readonly bigint[]): string {
  const more = shards.length > NAMED ? ` and ${shards.length - NAMED} more` : ''
  return shards.slice(0, NAMED).join(', ') + more
}
