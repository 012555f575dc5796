/** A shard as people name it. */
export interface ShardLabel {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

/** How much an operator should care: `error` is said even by `--quiet`. */
export type NoteLevel = 'info' | 'warning' | 'error'

/** What a run is about to do. */
export interface PlanEvent {
  readonly type: 'plan'
  readonly task: string
  readonly shards: number
  readonly bytes?: number | undefined
  readonly about?: boolean | undefined
  /** What `shards` counts; default shards. */
  readonly unit?: 'set' | undefined
  /** A step before what was asked for: what is done of it leaves no lines, and another plan follows. */
  readonly isStep?: boolean | undefined
}

/**
 * What an operation tells while it works.
 *
 * - `plan` comes first and, but for steps, once, as soon as the number of shards is known; `task` is a verb ("backup"), `bytes` the
 *   expected total if it is known of every shard beforehand, never a guess. With `about`, sizes are those of a moment before, of
 *   the last backup or of the files on the disk, and come out a little different.
 * - `bytes` of `shardStart` is what this shard is expected to be, if that is known; a part of the total.
 * - `shardProgress` carries the bytes of this shard so far, not since the last event. A transfer that is tried again
 *   starts again at 0.
 * - Every shard that was started ends with one `shardDone` or `shardSkipped`, unless the operation throws.
 * - `bytes` are bytes moved, before compression; `stored` what they take at the destination.
 */
export type ProgressEvent =
  | PlanEvent
  | {
      readonly type: 'shardStart'
      readonly shard: ShardLabel
      readonly bytes?: number | undefined
    }
  | { readonly type: 'shardProgress'; readonly shard: ShardLabel; readonly bytes: number }
  | {
      readonly type: 'shardDone'
      readonly shard: ShardLabel
      readonly bytes: number
      readonly stored?: number | undefined
      readonly points?: number | undefined
      readonly durationMs: number
    }
  | { readonly type: 'shardSkipped'; readonly shard: ShardLabel; readonly reason: string }
  /** So many things of the plan are done, where these are no shards. */
  | { readonly type: 'counted'; readonly done: number }
  | { readonly type: 'note'; readonly level: NoteLevel; readonly message: string }

/** Receives what an operation tells. Must return at once and never throws. */
export type Progress = (event: ProgressEvent) => void

/** The progress of an operation nobody watches. */
export const noProgress: Progress = () => {}
