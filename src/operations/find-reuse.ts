import type { Catalog } from '../portable/catalog.ts'
import { isForSame } from '../portable/clear-catalog.ts'
import { findReusable } from '../portable/reusable.ts'
import type { SetListing } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { atDestination } from './at-destination.ts'
import { findFinished } from './finished-shards.ts'
import { type Incremental, planReuse, type ReuseOptions, type ReusePlan } from './plan-reuse.ts'
import { type ShardPlan, wantedShard } from './plan-shards.ts'
import type { SetWriterOptions } from './set-writer.ts'

/** Where archives may be shared or taken over from, and whether they are to be. */
export interface ReuseWish
  extends Omit<ReuseOptions, keyof Incremental>,
    Pick<SetWriterOptions, 'recipients'> {
  readonly store: Store
  readonly listing: SetListing
  readonly incremental?: Incremental | undefined
  readonly resume?: boolean | undefined
  /** A catalog of the listing that was read already. */
  readonly known: Catalog | undefined
}

/** Finds out which shards need not be fetched; undefined if all are to be. */
export async function findReuse(
  wish: ReuseWish,
  { data: { clusterId }, shards }: ShardPlan,
): Promise<ReusePlan | undefined> {
  const { store, listing, incremental, resume, recipients, known, signal } = wish
  if (incremental === undefined && resume !== true) return undefined
  const wanted = shards.map(wantedShard)
  const accepts = (catalog: Catalog) => isForSame(catalog, recipients?.names)
  const rules = { clusterId, accepts, known }
  const archives = await atDestination(async () => ({
    finished: recipients
      ? new Map()
      : await findFinished(store, listing, { clusterId, shards: wanted, signal }),
    shared: incremental && (await findReusable(listing, wanted, rules, signal)),
  }))
  const how = incremental ?? { fullEvery: 0, trustProbe: false }
  return await planReuse(archives, { ...wish, ...how })
}
