import type { Store } from '../storage/index.ts'
import type { ExactRange } from './exact-range.ts'
import type { ForgottenResult, ForgottenWish } from './forgotten.ts'
import type { Progress } from './progress.ts'
import type { LostShard, Restorable } from './restorable.ts'
import type { Renames } from './restore-names.ts'
import type { ExpiringShard, RestorePlan } from './restore-plan.ts'
import type { PolicyWish } from './restore-policies.ts'
import type { RestoredShard } from './restore-run.ts'
import type { Loss } from './salvage.ts'
import type { Selection } from './selection.ts'
import type { SeriesSelection } from './series-selection.ts'
import type { ServerPlace } from './server.ts'
import type { HttpPlace } from './server-http.ts'
import type { ChainChoice } from './stock-chain.ts'

/** What to restore, from where, and how. */
export interface RestoreOptions {
  /** Opened once the backup was found whole. */
  readonly target: ServerPlace
  readonly store: Store
  /** The name of a set or a time; default the newest that holds the selection. */
  readonly set?: string | Date | undefined
  /** What older sets of influxd count for; left out, their files decide. */
  readonly chain?: ChainChoice | undefined
  readonly selection: Selection
  /** Only points of these times, and of these series. */
  readonly range?: ExactRange | undefined
  readonly series?: SeriesSelection | undefined
  readonly renames: Renames
  /** What is restored besides points and policies; default nothing. Queries are left out where only some points are restored. */
  readonly forgotten?: ForgottenWish | undefined
  /** A file to be made for the passwords of users that are made over HTTP. */
  readonly usersFile?: string | undefined
  /** What becomes of retention policies. */
  readonly policies?: PolicyWish | undefined
  /** Shards uploaded at the same time. */
  readonly jobs: number
  /** Times an upload is tried in all. */
  readonly attempts: number
  readonly limitRate?: number | undefined
  readonly tempDir: string
  /** Read every shard back and compare. */
  readonly readBack: boolean
  readonly dryRun: boolean
  /** Restore what is whole of a damaged backup. */
  readonly salvage: boolean
  /** Where the state of a restore is kept until it is done, so that it can be resumed; default nowhere. */
  readonly stateDir?: string | undefined
  /** Go on with a restore that was interrupted; whatever fails, what was made stays. */
  readonly resume: boolean
  /** The target is thrown away afterwards: what a failed run has made is left as it is. Default false. */
  readonly disposable?: boolean | undefined
  /** The server's HTTP API, to remove what a failed run has made; left out, it is not used. */
  readonly http?: HttpPlace | undefined
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** What a restore did. */
export interface RestoreResult extends ForgottenResult {
  /** `host:port`, or the path of the data directory. */
  readonly target: string
  readonly set: string | undefined
  readonly kind: Restorable['kind']
  readonly databases: readonly { readonly from: string; readonly to: string }[]
  readonly shards: readonly RestoredShard[]
  /** Selected shards that could not be backed up into this set. */
  readonly lost: readonly LostShard[]
  /** What could not be restored, or not as it was, because the backup is damaged; only of a salvage. */
  readonly damaged: readonly Loss[]
  /** Policies that keep points for another time than in the backup. */
  readonly durations: RestorePlan['durations']
  /** Subscriptions that were not restored. */
  readonly subscriptions: RestorePlan['subscriptions']
  /** Shards that the target's retention will drop at its next check. */
  readonly expiring: readonly ExpiringShard[]
  readonly leftOut: Restorable['leftOut']
  readonly dryRun: boolean
}
