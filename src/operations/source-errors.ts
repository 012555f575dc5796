import { asSnapError } from '../errors.ts'
import type { ShardSource } from './shard-source.ts'

const DAMAGE: ReadonlySet<string> = new Set(['E_CUT', 'E_FORMAT', 'E_INTEGRITY'])

/** Gives a failure met while a shard was read the source's code: the layers below do not know what they read. */
export function sourceFailure(error: unknown, source: Pick<ShardSource, 'damage'>): Error {
  const failure = asSnapError(error, 'E_SOURCE', 'the source failed')
  return DAMAGE.has(failure.code) ? source.damage(failure) : failure
}

/** Passes on what comes from a source, its failures by {@link sourceFailure}. */
export async function* sourceErrors<T>(
  body: AsyncIterable<T>,
  source: Pick<ShardSource, 'damage'>,
): AsyncGenerator<T, void, undefined> {
  try {
    yield* body
  } catch (error) {
    throw sourceFailure(error, source)
  }
}

/** Passes bytes on and tells how many there were so far, and when there are no more. */
export async function* counted(
  body: AsyncIterable<Uint8Array>,
  onBytes: ((bytes: number) => void) | undefined,
  onEnd?: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    onBytes?.(bytes)
    yield chunk
  }
  onEnd?.()
}
