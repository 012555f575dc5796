import { SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { decodeFinished } from '../portable/finished.ts'
import { parseFileName } from '../portable/names.ts'
import { isSameShard, type ReusableShard, type WantedShard } from '../portable/reusable.ts'
import type { SetListing } from '../portable/sets.ts'
import { listUnfinished } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { isDead } from './leftovers.ts'
import { readSmall } from './read-small.ts'

/** A note says a few hundred bytes of one shard. */
const MAX_NOTE = 64 * 1024

/** Which shards are looked for. */
export interface FinishedWish {
  readonly clusterId: bigint
  readonly shards: readonly WantedShard[]
  readonly signal: AbortSignal
}

/**
 * Finds shards that runs which died had finished: archive and sidecar are there, under their `.pending` names and with their
 * sizes. The newest of each counts.
 */
export async function findFinished(
  store: Store,
  { files }: SetListing,
  { clusterId, shards, signal }: FinishedWish,
): Promise<ReadonlyMap<bigint, ReusableShard>> {
  const wanted = new Map(shards.map((shard) => [shard.shardId, shard]))
  const found = new Map<bigint, ReusableShard>()
  const isThere = ({ name, size }: { readonly name: string; readonly size: number }) =>
    files.get(name + PENDING_SUFFIX)?.size === size
  const unfinished = listUnfinished(files).filter(({ isPublished }) => !isPublished)
  for (const set of unfinished.toSorted((a, b) => (a.set < b.set ? -1 : 1))) {
    const notes = set.leftovers.filter(isNote)
    if (notes.length === 0 || !(await isDead(store, set))) continue
    for (const name of notes) {
      const note = await readNote(store, name, signal)
      const shard = note && wanted.get(note.shard.shardId)
      if (!shard || note.clusterId !== clusterId || !isSameShard(note.shard, shard)) continue
      const { evidence } = note.shard
      if (evidence === undefined || !note.files.every(isThere)) continue
      const held = { set: set.set, files: note.files, isPending: true }
      found.set(shard.shardId, { ...note.shard, evidence, ...held })
    }
  }
  return found
}

function isNote(name: string): boolean {
  if (!name.endsWith(PENDING_SUFFIX)) return false
  return parseFileName(name.slice(0, -PENDING_SUFFIX.length))?.kind === 'finished'
}

async function readNote(store: Store, name: string, signal: AbortSignal) {
  try {
    return decodeFinished(await readSmall(store, name, { limit: MAX_NOTE, signal }), name)
  } catch (error) {
    if (!(error instanceof SnapError)) throw error
    return undefined
  }
}
