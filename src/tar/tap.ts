import { SnapError } from '../errors.ts'
import { Handoff } from '../io/handoff.ts'
import { ByteSource } from './byte-source.ts'
import { type ReadTarOptions, readShardTar, type TarEntry } from './reader.ts'

/** Does what is left to do for an entry once all of it has passed. */
export type AfterEntry = () => Promise<void>

/**
 * Looks at one entry while it passes; what it does not read of the body is skipped. What it returns is called at once, and done
 * before the next entry is looked at, or the tar ends.
 */
export type OnEntry = (
  entry: TarEntry,
) => Promise<AfterEntry | undefined> | Promise<void> | AfterEntry | undefined | void

/**
 * Passes a shard tar on, chunk by chunk and unchanged, while `onEntry` sees every entry in flow. A chunk is passed on
 * after it was looked at, so nothing is held but that chunk; the last one is followed by the end only if the tar was
 * whole and what is left to do for its entries is done. When the consumer stops early, a running `onEntry` finds its body failing and is waited for.
 * @throws whatever {@link readShardTar} or `onEntry` throws
 */
export async function* tapShardTar(
  body: AsyncIterable<Uint8Array>,
  onEntry: OnEntry,
  options: ReadTarOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = new ByteSource(body, options.signal)
  const handoff = new Handoff()
  const looking = look(handoff, onEntry, options)
  looking.then(
    () => handoff.leave(),
    (error) => handoff.leave(error),
  )
  try {
    for (;;) {
      const chunk = await source.take(Number.MAX_SAFE_INTEGER)
      if (chunk === undefined) break
      await handoff.put(chunk)
      yield chunk
    }
    handoff.end()
    await looking
  } catch (error) {
    handoff.fail(error)
    throw error
  } finally {
    handoff.fail(new SnapError('E_CUT', `${options.name ?? 'shard tar'}: left before its end`))
    await looking.catch(() => {})
    await source.close()
  }
}

async function look(
  chunks: AsyncIterable<Uint8Array>,
  onEntry: OnEntry,
  options: ReadTarOptions,
): Promise<void> {
  let after: Promise<{ readonly error: unknown } | undefined> = Promise.resolve(undefined)
  const settled = async () => {
    const failure = await after
    if (failure !== undefined) throw failure.error
  }
  try {
    for await (const entry of readShardTar(chunks, options)) {
      await settled()
      const rest = await onEntry(entry)
      if (rest) after = failureOf(rest)
    }
    await settled()
  } finally {
    await after
  }
}

/** Does some work, and returns its failure: nobody may wait for it yet. */
async function failureOf(work: AfterEntry): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    return { error }
  }
}
