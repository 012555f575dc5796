import type { Store } from '../storage/index.ts'
import type { ExactRange } from './exact-range.ts'
import type { ForgottenWish } from './forgotten.ts'
import type { ShardName } from './inspect.ts'
import type { OnConflict } from './merge-look.ts'
import type { MergeCounts } from './merge-points.ts'
import type { Progress } from './progress.ts'
import type { ReplaceWish } from './replace-check.ts'
import type { Renames } from './restore-names.ts'
import type { WrongPoints } from './select-check.ts'
import type { Selection } from './selection.ts'
import type { SeriesSelection } from './series-selection.ts'
import type { ServerPlace } from './server.ts'
import type { HttpPlace } from './server-http.ts'
import type { ChainChoice } from './stock-chain.ts'

/** What to merge, from where, and how. */
export interface MergeOptions {
  readonly target: ServerPlace
  readonly store: Store
  /** The name of a set or a time; default the newest that holds the selection. */
  readonly set?: string | Date | undefined
  /** What older sets of influxd count for; left out, their files decide. */
  readonly chain?: ChainChoice | undefined
  readonly selection: Selection
  readonly range?: ExactRange | undefined
  readonly series: SeriesSelection
  readonly renames: Renames
  /** Queries are named if the server lacks them, and made with `make`. */
  readonly forgotten?: (ForgottenWish & { readonly make: boolean }) | undefined
  /** A file to be made for the passwords of new users. */
  readonly usersFile?: string | undefined
  readonly onConflict: OnConflict
  /** Upload into shards that still take writes too. */
  readonly allowWritePause: boolean
  /** How long policies may be made to keep points that they would drop, ns, 0 for ever; left out, they are not changed. */
  readonly policyDuration?: bigint | undefined
  /** Live shards that are dropped and made anew. */
  readonly replace?: ReplaceWish | undefined
  /** Requests under way at the same time. */
  readonly jobs: number
  /** Times a transfer is tried in all. */
  readonly attempts: number
  readonly limitRate?: number | undefined
  readonly tempDir: string
  /** Count what is new, equal and conflicting, and write nothing. */
  readonly dryRun: boolean
  readonly http: HttpPlace
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** Points of the backup that are in a live shard, and that its server returns otherwise. */
export interface OverruledPoints extends ShardName, WrongPoints {
  /** Whether the time of the shard is over, so that it can be replaced. */
  readonly isCold: boolean
}

/** A stored shard that was merged. */
export interface MergedShard extends ShardName, MergeCounts {
  /** The live shards that its points are in. */
  readonly newShardIds: readonly bigint[]
  /** What became of points that were to win. */
  readonly overruled: readonly OverruledPoints[]
  /** Bytes that were sent. */
  readonly bytes: number
  readonly durationMs: number
}
