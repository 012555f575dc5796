import { mkdir, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpClient } from '../client/index.ts'
import { asSnapError, SnapError } from '../errors.ts'
import { findKeyProblem } from '../formats/line-protocol.ts'
import type { PolicyName } from '../formats/points.ts'
import { type Data, type ListedShard, listShards } from '../meta/index.ts'
import { LocalStore, type Store } from '../storage/index.ts'
import { alignKeys } from '../tsm/align.ts'
import { atDestination } from './at-destination.ts'
import { type BackupOptions, backup } from './backup.ts'
import { BackupSource } from './backup-source.ts'
import { describeShard } from './inspect.ts'
import { withLock } from './locked-store.ts'
import { openRestorable } from './open-restorable.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import {
  findKept,
  isHalfGone,
  keptPath,
  noSuchShard,
  type ReplaceWish,
  refuseShard,
} from './replace-check.ts'
import { wishOf } from './restorable.ts'
import type { OpenServer } from './server.ts'
import { expectSame, type HttpPlace } from './server-http.ts'
import { ServerSource } from './server-source.ts'
import { createThrottle } from './throttle.ts'
import { sourcesOf } from './tsm-sources.ts'

/** Who is asked to replace a shard. */
export interface ReplacePlace extends Pick<BackupOptions, 'jobs' | 'attempts' | 'tempDir'> {
  readonly server: OpenServer
  readonly http: HttpClient
  readonly httpPlace: HttpPlace
  readonly wish: ReplaceWish
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** The work on both sides of the moment in which the shard is not there. */
export interface Replacement {
  /** Looks whether all can be put into it; the server is not changed. */
  readonly check: (live: ListedShard) => Promise<void>
  /** Puts points of the backup into the shard that takes its place. */
  readonly merge: (dropped: ListedShard) => Promise<void>
  /** Puts back what it had, where the backup has nothing. */
  readonly putBack: (source: BackupSource, dropped: ListedShard) => Promise<void>
  /** What the merge writes to. */
  readonly into: readonly PolicyName[]
}

/** Tries to have a copy of a shard that nobody writes to, and the wait between two, ms. */
const COPIES = 10
const PAUSE_MS = 1000
const DROP_MS = 600_000

/**
 * Drops a live shard and makes it anew, of the backup and of what it had. That is a set on the disk of this machine before
 * the shard is dropped, and stays there until the new one was read back. What a run that ended early has left is gone on with.
 * @throws SnapError `E_NOTHING_MATCHED`, `E_DESTINATION`, `E_LOCKED`
 */
export async function replaceShard(
  id: bigint,
  place: ReplacePlace,
  replacement: Replacement,
): Promise<void> {
  const { server, wish, progress, signal } = place
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  const path = keptPath(id, wish, { server, data })
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw asSnapError(error, 'E_DESTINATION', path)
  })
  const lock = { mode: 'exclusive', reads: false, command: 'restore', wait: 0 } as const
  await withLock(new LocalStore(path), { ...lock, progress, signal }, async (locked) => {
    const inside = { ...place, path, store: locked.store, signal: locked.signal }
    const dropped = await takeOut(id, data, inside, replacement)
    await replacement.merge(dropped)
    await replacement.putBack(await openKept(dropped, inside), dropped)
  })
  await rm(path, { recursive: true, force: true })
}

type Inside = ReplacePlace & { readonly path: string; readonly store: Store }

/** Returns the shard as it was, once it is kept and not there any more. */
async function takeOut(
  id: bigint,
  data: Data,
  place: Inside,
  { check, into }: Replacement,
): Promise<ListedShard> {
  const { server, http, httpPlace, store, path, progress, signal } = place
  const live = listShards(data).find(({ shard }) => shard.id === id)
  if (live === undefined || (await isHalfGone(live, server, signal))) {
    const kept = await findKept(id, path, signal)
    if (kept === undefined) {
      await rm(path, { recursive: true, force: true })
      throw noSuchShard(id, server)
    }
    if (live === undefined) return kept
  } else {
    refuseShard(live, data, into)
    await check(live)
    progress({ type: 'note', level: 'warning', message: warningOf(live, place) })
    await keepCopy(live, place)
    await refuseUnsayable(await openKept(live, place), live, place)
  }
  await atDestination(() => expectSame(http, server, { place: httpPlace, signal }))
  await drop(live, place)
  progress({ type: 'note', level: 'info', message: `dropped shard ${id}; ${path} has it` })
  await store.abandon()
  return live
}

function warningOf(live: ListedShard, { server, http, path }: Inside): string {
  const name = describeShard(shardName(live))
  const again = `snap restore --merge --host ${server.name} --http ${http.url} ${path}`
  return `shard ${name} of ${server.name} is copied to ${path}, dropped and made anew: until that is done queries find nothing in its time. If this run ends early, run it again, or put back what was there: ${again}`
}

/** Backs the shard up until a copy is what the server still has. */
async function keepCopy(
  { database, retentionPolicy, shard }: ListedShard,
  { server, http, store, wish, path, jobs, attempts, tempDir, signal }: Inside,
): Promise<void> {
  const source = new ServerSource(server)
  const selection = { databases: [database], retentionPolicy, shards: [shard.id] }
  for (let copies = 1; copies <= COPIES; copies++) {
    const { shards } = await backup({
      ...{ source, selection, store, http, jobs, attempts, tempDir, signal },
      ...{ compression: 'gzip', fingerprint: true, skipErrors: false, dryRun: false },
      ...{
        version: wish.version,
        incremental: { fullEvery: Number.MAX_SAFE_INTEGER, trustProbe: false },
      },
    })
    if (shards[0]?.reused !== undefined) return
    await sleep(PAUSE_MS, undefined, { signal })
  }
  throw new SnapError('E_DESTINATION', `shard ${shard.id} is written to: it was not dropped`, {
    hint: `stop what writes to it, and run the same again; ${path} holds copies of it`,
  })
}

async function openKept(
  { database, retentionPolicy, shard }: ListedShard,
  { store, signal }: Inside,
): Promise<BackupSource> {
  const selection = { databases: [database], retentionPolicy, shards: [shard.id] }
  return new BackupSource(store, await openRestorable(store, wishOf({ selection }), { signal }))
}

/** What line protocol cannot say cannot be shown to the index of an older server either. */
async function refuseUnsayable(
  source: BackupSource,
  live: ListedShard,
  { tempDir, signal }: Inside,
): Promise<void> {
  const throttle = createThrottle(undefined)
  const opened = await source.openShard({ shard: shardName(live) }, { tempDir, throttle, signal })
  try {
    for await (const { key } of alignKeys(await sourcesOf(opened.files))) {
      const problem = findKeyProblem(key)
      if (problem === undefined) continue
      const series = JSON.stringify(Buffer.from(key).toString())
      throw new SnapError('E_DESTINATION', `shard ${live.shard.id}: ${series}: ${problem}`, {
        hint: 'a shard with such a name cannot be made anew: nothing was changed',
      })
    }
  } finally {
    await opened.close()
  }
}

/** Drops a shard, and makes sure of it: the answer may have been lost. */
async function drop(live: ListedShard, { server, http, signal }: Inside): Promise<void> {
  const { id } = live.shard
  const failure = await http.query(`DROP SHARD ${id}`, { signal, deadline: DROP_MS }).then(
    () => undefined,
    (error: unknown) => error,
  )
  signal.throwIfAborted()
  const data = await atDestination(() => server.client.metastoreBackup(signal))
  if (!listShards(data).some(({ shard }) => shard.id === id)) return
  throw new SnapError('E_DESTINATION', `${server.name}: shard ${id} was not dropped`, {
    cause: failure,
    hint: 'run the same again: what it holds is kept until then',
  })
}
