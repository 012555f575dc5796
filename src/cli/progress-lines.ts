import type { Progress, ProgressEvent, ShardLabel } from '../operations/progress.ts'
import { formatBytes, formatCount, formatDuration, formatRate, printable } from './format.ts'

/** Shows progress until it is stopped. */
export interface Renderer {
  readonly report: Progress
  /** Ends it and clears what is not to stay. May be called twice. */
  readonly stop: () => Promise<void>
}

/** Returns how a shard is named in progress: `7 telegraf/autogen`. */
export function formatShard({ database, retentionPolicy, shardId }: ShardLabel): string {
  return `${shardId} ${printable(database)}/${printable(retentionPolicy)}`
}

/** Returns the one line that a finished or skipped shard or a note leaves behind, if the event is one of these. */
export function formatEvent(event: ProgressEvent): string | undefined {
  switch (event.type) {
    case 'shardDone': {
      const { bytes, stored, points, durationMs } = event
      const rate = durationMs > 0 ? ` (${formatRate((bytes * 1000) / durationMs)})` : ''
      const parts = [`${formatBytes(bytes)} in ${formatDuration(durationMs)}${rate}`]
      if (stored !== undefined) parts.push(`${formatBytes(stored)} stored`)
      if (points !== undefined) parts.push(formatPoints(points))
      return `shard ${formatShard(event.shard)}: ${parts.join(', ')}`
    }
    case 'shardSkipped':
      return `shard ${formatShard(event.shard)}: skipped: ${printable(event.reason)}`
    case 'note':
      return event.level === 'info'
        ? printable(event.message)
        : `${event.level}: ${printable(event.message)}`
    default:
      return undefined
  }
}

function formatPoints(points: number): string {
  return points === 1 ? '1 point' : `${formatCount(points)} points`
}
