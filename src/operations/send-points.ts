import type { LineWriter } from '../client/index.ts'
import type { LeftOut } from '../formats/line-protocol.ts'
import { encodeLineProtocol } from '../formats/line-protocol.ts'
import type { FieldPoints } from '../formats/points.ts'
import { noProgress, type Progress } from './progress.ts'
import { withRetries } from './retry.ts'
import type { Throttle } from './throttle.ts'

/** How points are sent. */
export interface SendOptions {
  readonly writer: LineWriter
  /** Requests under way at the same time. */
  readonly jobs: number
  /** Times a request is tried in all. */
  readonly attempts: number
  readonly throttle: Throttle
  readonly onLeftOut?: ((left: LeftOut) => void) | undefined
  /** Told of the bytes of line protocol that have arrived so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined
  /** Told of a key when it has arrived with all before it. */
  readonly onKey?: ((key: Uint8Array) => Promise<void>) | undefined
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/**
 * Sends points as line protocol, several requests at a time, each tried again after a failure that may pass. Holds as many
 * chunks as requests are under way. Returns the bytes that were sent, when all have arrived.
 * @throws SnapError what {@link LineWriter.write} and the points throw
 */
export async function sendPoints(
  points: AsyncIterable<FieldPoints>,
  options: SendOptions,
): Promise<number> {
  const { jobs, throttle, signal, onLeftOut, onBytes, onKey } = options
  const read: { lastKey: Uint8Array | undefined } = { lastKey: undefined }
  const lines = encodeLineProtocol(keysSeen(points, read), { onLeftOut })
  const stop = new AbortController()
  const within = AbortSignal.any([signal, stop.signal])
  const waiting: { readonly arrived: Promise<void>; readonly size: number; key?: Uint8Array }[] = []
  let bytes = 0
  const takeFirst = async () => {
    const first = waiting.shift()
    if (first === undefined) return
    await first.arrived
    bytes += first.size
    onBytes?.(bytes)
    if (first.key !== undefined) await onKey?.(first.key)
  }
  try {
    for await (const chunk of throttle(lines, signal)) {
      const arrived = write(chunk, options, within)
      // It is awaited in its turn, which may be after it failed.
      arrived.catch(() => {})
      const { lastKey: key } = read
      waiting.push({ arrived, size: chunk.length, ...(key && { key }) })
      if (waiting.length >= jobs) await takeFirst()
    }
    while (waiting.length > 0) await takeFirst()
    return bytes
  } finally {
    stop.abort()
    await Promise.allSettled(waiting.map(({ arrived }) => arrived))
  }
}

async function write(
  chunk: Uint8Array,
  { writer, attempts, progress = noProgress }: SendOptions,
  signal: AbortSignal,
): Promise<void> {
  const onRetry = (error: Error, attempt: number, waitMs: number) => {
    const message = `try ${attempt} failed, next in ${waitMs} ms: ${error.message}`
    progress({ type: 'note', level: 'warning', message })
  }
  await withRetries(() => writer.write(chunk, signal), { attempts, signal, onRetry })
}

/** Notes each key once all of it was read: its lines are in the chunk that comes next, or before. */
async function* keysSeen(
  points: AsyncIterable<FieldPoints>,
  read: { lastKey: Uint8Array | undefined },
): AsyncGenerator<FieldPoints, void, undefined> {
  for await (const field of points) {
    yield field
    read.lastKey = Uint8Array.from(field.key)
  }
}
