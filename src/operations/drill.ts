import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { HttpClient } from '../client/index.ts'
import { SnapError } from '../errors.ts'
import { noBackup } from '../portable/select-set.ts'
import { listSets } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { DrillTally, type ShardDifference } from './drill-compare.ts'
import { type CountDifference, checkCounts } from './drill-counts.ts'
import {
  findInfluxd,
  type InfluxdProgram,
  type ScratchInfluxd,
  startInfluxd,
} from './drill-influxd.ts'
import { checkSpace, makeScratch, spaceFor } from './drill-scratch.ts'
import type { ShardName } from './inspect.ts'
import { openArchive } from './open-archive.ts'
import { openRestorable } from './open-restorable.ts'
import { noProgress, type Progress } from './progress.ts'
import { openLive } from './readback.ts'
import { type Restorable, type RestorableShard, wishOf } from './restorable.ts'
import { type RestoredShard, type RestoreResult, restore } from './restore.ts'
import { compareShards } from './restore-compare.ts'
import { entriesOf } from './restore-content.ts'
import { type Selection, selectShards } from './selection.ts'
import { openServer, type ServerPlace } from './server.ts'
import type { ShardFiles } from './shard-source.ts'
import { spoolShard } from './spool-shard.ts'
import type { ChainChoice } from './stock-chain.ts'

/** What to restore for practice, and with what. */
export interface DrillOptions {
  readonly store: Store
  /** The name of a set, a time, or any one of them; default the newest that holds the selection. */
  readonly set?: string | Date | undefined
  /** What older sets of influxd count for; left out, their files decide. */
  readonly chain?: ChainChoice | undefined
  /** Take any set that holds the selection. Default false. */
  readonly random?: boolean | undefined
  readonly selection: Selection
  /** A path, `none` for snap's own reader, or undefined for the first on PATH. */
  readonly influxd?: string | undefined
  readonly indexVersion: 'inmem' | 'tsi1'
  /** Let stay what was restored. */
  readonly keep: boolean
  readonly jobs: number
  readonly limitRate?: number | undefined
  /** Gets the scratch directory. */
  readonly tempDir: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** A shard that was restored and compared. */
export interface DrilledShard extends ShardName {
  /** Of its files. */
  readonly bytes: number
  /** How long its restore took. */
  readonly durationMs: number
  /** In the backup. */
  readonly points: number
}

/** What a drill found. */
export interface DrillResult {
  readonly set: string | undefined
  readonly kind: Restorable['kind']
  /** The influxd it was restored into; undefined: a data directory. */
  readonly influxd: InfluxdProgram | undefined
  /** How long the restore took, checks of the set included, comparison not. */
  readonly recoveryMs: number
  readonly shards: readonly DrilledShard[]
  readonly differences: readonly ShardDifference[]
  /** Of what the server counts when it is asked. */
  readonly countDifferences: readonly CountDifference[]
  /** Measurements whose points the server was asked to count. */
  readonly counted: number
  /** Fields that could not be asked for. */
  readonly unchecked: number
  /** Selected shards that could not be backed up into the set. */
  readonly lost: RestoreResult['lost']
  /** What was left to be looked at: the directory, and how to start the server on it. */
  readonly kept: { readonly path: string; readonly command: string | undefined } | undefined
}

/**
 * Restores a set into a scratch place and compares every point with the backup: a throwaway influxd on this machine's
 * loopback where there is one, else a data directory. Nothing else is touched, and nothing stays unless asked for.
 * @throws SnapError `E_NO_BACKUP`, `E_NOTHING_MATCHED`, `E_INTEGRITY` if the set is damaged, `E_USAGE` if influxd cannot
 * be run, `E_DESTINATION` if the scratch place is too small
 */
export async function drill(options: DrillOptions): Promise<DrillResult> {
  const { store, selection, tempDir, keep, env, signal } = options
  const program = options.influxd === 'none' ? undefined : await findInfluxd(options.influxd, env)
  const backup = await openBackup(options)
  await checkSpace(tempDir, await spaceFor(selectedShards(backup, selection), store))
  const scratch = await makeScratch(tempDir)
  let isKept = false
  try {
    const { path: root } = scratch
    const { indexVersion } = options
    const influxd = program && (await startInfluxd({ program, root, indexVersion, env, signal }))
    try {
      const found = await practise(backup, { root, influxd }, options)
      isKept = keep
      const command = influxd && program && `${program.path} run -config ${influxd.config}`
      return { ...found, influxd: program, kept: keep ? { path: root, command } : undefined }
    } finally {
      await influxd?.stop(keep ? 'SIGTERM' : 'SIGKILL')
    }
  } finally {
    if (isKept) scratch.keep()
    else await scratch.remove()
  }
}

/** Opens the set that is meant; of sets taken at random the first that holds the selection. */
async function openBackup(options: DrillOptions): Promise<Restorable> {
  const { store, random = false, signal, chain, tempDir } = options
  // The restore says of a chain that it is one.
  const opening = { signal, chain, tempDir }
  if (!random) return await openRestorable(store, wishOf(options), opening)
  const listing = await listSets(store, signal)
  const names = listing.sets.map(({ name }) => name)
  if (names.length === 0) throw noBackup(listing)
  for (;;) {
    const [set = ''] = names.splice(randomInt(names.length), 1)
    try {
      return await openRestorable(store, wishOf({ ...options, set }), opening)
    } catch (error) {
      const isOther = error instanceof SnapError && error.code === 'E_NOTHING_MATCHED'
      if (!isOther || names.length === 0) throw error
    }
  }
}

function selectedShards({ data, shards }: Restorable, selection: Selection): RestorableShard[] {
  const selected = new Set(selectShards(data, selection).map(({ shard }) => shard.id))
  return shards.filter(({ shardId }) => selected.has(shardId))
}

interface Place {
  readonly root: string
  readonly influxd: ScratchInfluxd | undefined
}

type Found = Omit<DrillResult, 'influxd' | 'kept'>

async function practise(backup: Restorable, place: Place, options: DrillOptions): Promise<Found> {
  const { store, selection, chain, jobs, limitRate, progress, signal } = options
  const started = performance.now()
  const result = await restore({
    ...{ store, set: backup.set, chain, selection, renames: {}, jobs, limitRate, progress, signal },
    ...{ target: targetOf(place, options), tempDir: place.root, attempts: 1 },
    ...{ readBack: false, dryRun: false, salvage: false, resume: false, disposable: true },
  })
  const recoveryMs = performance.now() - started
  const shards = new Map(backup.shards.map((shard) => [shard.shardId, shard]))
  const compared = await compareAll({ ...result, backup, stored: shards }, place, options)
  const { set, kind, lost } = result
  return { set, kind, lost, recoveryMs, ...compared }
}

function targetOf({ root, influxd }: Place, { indexVersion }: DrillOptions): ServerPlace {
  if (influxd !== undefined) return { host: influxd.host }
  const directories = ['data', 'wal', 'meta'].map((name) => join(root, name))
  const [dataDir, walDir, metaDir] = directories
  return {
    directory: { dataDir, walDir, metaDir, indexVersion, env: {} },
    mode: 'read-write',
    influxdIsStopped: true,
    tempDir: root,
  }
}

interface Restored extends Pick<RestoreResult, 'shards'> {
  readonly backup: Restorable
  readonly stored: ReadonlyMap<bigint, RestorableShard>
}

async function compareAll(
  restored: Restored,
  place: Place,
  options: DrillOptions,
): Promise<Omit<Found, 'set' | 'kind' | 'lost' | 'recoveryMs'>> {
  const { signal, progress = noProgress } = options
  progress({ type: 'note', level: 'info', message: 'comparing what was restored with the backup' })
  const tally = new DrillTally()
  const shards: DrilledShard[] = []
  const differences: ShardDifference[] = []
  const target = targetOf(place, options)
  const server = await openServer('directory' in target ? { ...target, mode: 'read-only' } : target)
  try {
    for (const shard of restored.shards) {
      const live = { server, tempDir: place.root, attempts: 1, signal }
      const found = await compareShard(shard, restored, { ...options, live, tally })
      differences.push(...found.differences)
      const { database, retentionPolicy, shardId, bytes, durationMs } = shard
      const name = { database, retentionPolicy, shardId }
      shards.push({ ...name, bytes, durationMs, points: found.points })
    }
  } finally {
    await server.close()
  }
  const counts = await countAll(tally, place, signal)
  return { shards, differences, ...counts }
}

async function compareShard(
  { newShardId = 0n, ...shard }: RestoredShard,
  { backup, stored }: Restored,
  {
    store,
    live,
    tally,
    signal,
  }: DrillOptions & {
    readonly live: Parameters<typeof openLive>[1]
    readonly tally: DrillTally
  },
) {
  const archived = stored.get(shard.shardId)
  if (archived === undefined) throw new SnapError('E_FAILED', `no shard ${shard.shardId}`)
  const expected = await openStored(archived, { store, backup, tempDir: live.tempDir, signal })
  try {
    const got = await openLive({ ...shard, shardId: newShardId }, live)
    try {
      return await tally.add(shard, compareShards(expected.files, got.files))
    } finally {
      await got.close()
    }
  } finally {
    await expected.close()
  }
}

/** The files of an archive, read where they are if it has seek points. Its hash was right a moment ago. */
async function openStored(
  shard: RestorableShard,
  options: {
    readonly store: Store
    readonly backup: Restorable
    readonly tempDir: string
    readonly signal: AbortSignal
  },
): Promise<ShardFiles> {
  const { store, backup, tempDir, signal } = options
  const opened = await openArchive(store, backup, shard, signal)
  return opened ?? (await spoolShard(entriesOf(shard, tempDir, signal), tempDir))
}

async function countAll(
  tally: DrillTally,
  { influxd }: Place,
  signal: AbortSignal,
): Promise<Pick<DrillResult, 'countDifferences' | 'counted' | 'unchecked'>> {
  if (influxd === undefined) return { countDifferences: [], counted: 0, unchecked: 0 }
  const http = new HttpClient({ url: influxd.url })
  const { measurements, unchecked, differences } = await checkCounts(
    http,
    tally.counts.fields,
    signal,
  )
  return {
    countDifferences: differences,
    counted: measurements,
    unchecked: unchecked + tally.counts.unnamed,
  }
}
