import type { SnapError } from '../errors.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { noProgress, type Progress } from './progress.ts'
import { withRetries } from './retry.ts'

/** Tries a transfer of a shard as often as is allowed, and tells of each new try. */
export async function retryShard<T>(
  shard: ShardName,
  run: () => Promise<T>,
  options: {
    readonly attempts: number
    readonly progress?: Progress | undefined
    readonly signal: AbortSignal
  },
): Promise<T> {
  const { attempts, signal, progress = noProgress } = options
  const onRetry = (error: SnapError, attempt: number, waitMs: number) => {
    const what = `shard ${describeShard(shard)}: try ${attempt} failed, next in ${waitMs} ms`
    progress({ type: 'note', level: 'warning', message: `${what}: ${error.message}` })
  }
  return await withRetries(run, { attempts, signal, onRetry })
}
