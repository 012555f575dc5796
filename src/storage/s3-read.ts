import { addAbortSignal, Readable } from 'node:stream'
import { SnapError } from '../errors.ts'
import type { S3Connection } from './s3-client.ts'
import { isMissing, isTaken, isTransient, s3CodeOf, s3Error } from './s3-errors.ts'
import type { ByteRange } from './store.ts'

/** How often a body that is cut is gone on with before a single further byte has come. */
const MAX_CUTS = 3

/** What is read of an object. */
export interface ObjectPart {
  readonly key: string
  readonly range?: ByteRange | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Reads an object, or exactly a range of it. A connection that is lost on the way is made anew where it was cut, as long as
 * the object is still the same.
 * @throws SnapError `E_INTEGRITY` if there is no such object, it ends before the range does or was replaced meanwhile; `E_SOURCE`
 */
export async function* readObject(
  connection: S3Connection,
  { key, range, signal }: ObjectPart,
): AsyncGenerator<Uint8Array> {
  const where = `s3://${connection.bucket}/${key}`
  let at = range?.start ?? 0
  let end = range?.end
  let etag: string | undefined
  for (let cuts = 0; end === undefined || at < end; ) {
    const answer = await openAt(connection, { key, at, end, etag, signal })
    etag = answer.etag
    end ??= answer.size
    if (end > answer.size) throw endsEarly(where, answer.size, end)
    try {
      for await (const chunk of answer.body) {
        signal?.throwIfAborted()
        at += chunk.length
        cuts = 0
        yield chunk
      }
      if (at < end) cuts += 1
    } catch (error) {
      signal?.throwIfAborted()
      cuts += 1
      if (cuts > MAX_CUTS || !isTransient(error)) throw s3Error(error, 'read', where)
    } finally {
      answer.body.destroy()
    }
    if (cuts > MAX_CUTS) throw endsEarly(where, at, end)
  }
}

function endsEarly(where: string, size: number, end: number): SnapError {
  return new SnapError('E_INTEGRITY', `${where}: ends at ${size}, expected ${end} bytes`)
}

interface OpenAt {
  readonly key: string
  readonly at: number
  readonly end: number | undefined
  /** What the object was when it was opened first. */
  readonly etag: string | undefined
  readonly signal: AbortSignal | undefined
}

interface OpenObject {
  readonly body: Readable
  /** Bytes of the whole object. */
  readonly size: number
  readonly etag: string | undefined
}

async function openAt(
  connection: S3Connection,
  { key, at, end, etag, signal }: OpenAt,
): Promise<OpenObject> {
  const where = `s3://${connection.bucket}/${key}`
  const isPart = at > 0 || end !== undefined
  const object = {
    ...{ Bucket: connection.bucket, Key: key, ...(etag && { IfMatch: etag }) },
    ...(isPart && { Range: `bytes=${at}-${end === undefined ? '' : end - 1}` }),
  }
  try {
    const answer = await connection.call({ side: 'read', key, signal }, (s3, options) =>
      s3.getObject(object, options),
    )
    if (!(answer.Body instanceof Readable)) throw new Error('an answer without a body')
    const total = /\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1]
    if (isPart && total === undefined) throw new Error('the store does not read parts of objects')
    const size = total === undefined ? (answer.ContentLength ?? 0) : Number(total)
    const body = signal === undefined ? answer.Body : addAbortSignal(signal, answer.Body)
    return { body, size, etag: answer.ETag }
  } catch (error) {
    if (isMissing(error)) {
      throw new SnapError('E_INTEGRITY', `${where} is missing`, { cause: error })
    }
    if (isTaken(error)) {
      throw new SnapError('E_INTEGRITY', `${where} was replaced while it was read`, {
        cause: error,
      })
    }
    if (s3CodeOf(error) !== 'InvalidRange') throw s3Error(error, 'read', where)
    const message = `${where}: ends before ${at}, expected ${end} bytes`
    throw new SnapError('E_INTEGRITY', message, { cause: error })
  }
}
