import type { CompletedPart } from '@aws-sdk/client-s3'
import { untilAborted } from '../io/durable.ts'
import type { S3Connection } from './s3-client.ts'
import { isMissing } from './s3-errors.ts'
import { cutParts, type Part, type PartMemory, partSize, SMALL_SIZE } from './s3-parts.ts'
import type { S3, S3CallOptions } from './s3-sdk.ts'

/** Time for what is removed after a failure, ms: the run ends then, its leftovers are removed by a later one. */
const CLEAN_UP_MS = 5_000

/** The metadata that says which of several tries made an object. */
export const ID = 'snap-id'

/** An object as it was stored. */
export interface StoredVersion {
  readonly key: string
  /** Bytes. */
  readonly size: number
  /** Undefined where the store does not say: an old Ceph after a multipart upload. */
  readonly etag: string | undefined
  /** In a bucket with versions. */
  readonly versionId: string | undefined
  /** What is in it, if it is a small one. */
  readonly bytes?: Uint8Array | undefined
}

/** What is uploaded. */
export interface UploadSource {
  readonly key: string
  readonly body: AsyncIterable<Uint8Array>
  /** Kept with the object, to know it by. */
  readonly id: string
  readonly memory: PartMemory
  readonly signal?: AbortSignal | undefined
  /** The size in bytes of the part with this index. */
  readonly sizeOf?: ((index: number) => number) | undefined
}

/**
 * Stores `body` under a key: in one request if it fits into one part, else as a multipart upload with a few parts in
 * flight, and `body` read no faster than they go. On failure the upload is aborted; errors of `body` and the reason of
 * `signal` pass unchanged.
 * @throws SnapError `E_DESTINATION`
 */
export async function upload(
  connection: S3Connection,
  { key, body, id, memory, signal, sizeOf = partSize }: UploadSource,
): Promise<StoredVersion> {
  const stop = new AbortController()
  const all = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const parts = cutParts(untilAborted(body, all), memory, sizeOf)
  const target = { connection, key, id, memory, sizeOf, stop, signal: all }
  try {
    const first = await parts.next()
    if (first.done === true || first.value.isLast) {
      return await putWhole(target, first.value?.bytes ?? memory.take(0))
    }
    return await putParts(target, first.value.bytes, parts)
  } finally {
    stop.abort()
    await parts.return(undefined)
  }
}

interface UploadTarget {
  readonly connection: S3Connection
  readonly key: string
  readonly id: string
  readonly memory: PartMemory
  readonly sizeOf: (index: number) => number
  /** Ends the upload with its reason. */
  readonly stop: AbortController
  readonly signal: AbortSignal
}

/** Sends bytes and gives their memory back, not to be used again after a failure: the request may still be reading it. */
async function sendBytes<T>(
  { connection, key, memory, signal }: UploadTarget,
  bytes: Buffer,
  send: (client: S3, options: S3CallOptions) => Promise<T>,
): Promise<T> {
  let isSent = false
  try {
    const answer = await connection.call({ side: 'write', key, signal }, send)
    isSent = true
    return answer
  } finally {
    memory.give(bytes, isSent)
  }
}

async function putWhole(target: UploadTarget, bytes: Buffer): Promise<StoredVersion> {
  const { connection, key, id } = target
  const object = { Bucket: connection.bucket, Key: key, Metadata: { [ID]: id } }
  const stored = await sendBytes(target, bytes, (s3, options) =>
    s3.putObject({ ...object, Body: bytes, ContentLength: bytes.length }, options),
  )
  const small = bytes.length <= SMALL_SIZE && { bytes: Buffer.from(bytes) }
  return { key, size: bytes.length, etag: stored.ETag, versionId: stored.VersionId, ...small }
}

async function putParts(
  target: UploadTarget,
  first: Buffer,
  others: AsyncIterable<Part>,
): Promise<StoredVersion> {
  const { connection, key, id, signal } = target
  const object = { Bucket: connection.bucket, Key: key, Metadata: { [ID]: id } }
  const create = (s3: S3, options: S3CallOptions) => s3.createMultipartUpload(object, options)
  const created = await connection.call({ side: 'write', key, signal }, create).catch((error) => {
    target.memory.give(first)
    throw error
  })
  const uploadId = created.UploadId ?? ''
  try {
    const { done, size } = await sendParts(target, uploadId, restOf(first, others))
    return {
      size,
      ...(await completeUpload(connection, { key, id, uploadId, parts: done, signal })),
    }
  } catch (error) {
    await abortUpload(connection, { key, uploadId }).catch(() => {})
    throw error
  }
}

async function* restOf(first: Buffer, others: AsyncIterable<Part>): AsyncGenerator<Buffer> {
  yield first
  for await (const { bytes } of others) yield bytes
}

async function sendParts(
  target: UploadTarget,
  uploadId: string,
  parts: AsyncIterable<Buffer>,
): Promise<{ readonly done: readonly CompletedPart[]; readonly size: number }> {
  const { connection, key, memory, sizeOf, stop, signal } = target
  const running = new Set<Promise<void>>()
  const done: CompletedPart[] = []
  let size = 0
  let number = 0
  const send = async (bytes: Buffer, PartNumber: number) => {
    const part = { Bucket: connection.bucket, Key: key, UploadId: uploadId, PartNumber }
    const stored = await sendBytes(target, bytes, (s3, options) =>
      s3.uploadPart({ ...part, Body: bytes }, options),
    )
    done.push({ PartNumber, ETag: stored.ETag })
  }
  try {
    for await (const bytes of parts) {
      number += 1
      size += bytes.length
      const sending: Promise<void> = send(bytes, number)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => running.delete(sending))
      running.add(sending)
      while (!memory.hasRoom(sizeOf(number), running.size)) await Promise.race(running)
    }
    await Promise.all(running)
    signal.throwIfAborted()
    return { done: inOrder(done), size }
  } catch (error) {
    stop.abort(error)
    await Promise.all(running)
    throw error
  }
}

/** Parts in the order that they have in the object. */
export function inOrder(parts: readonly CompletedPart[]): CompletedPart[] {
  return parts.toSorted((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0))
}

/** A multipart upload with all its parts. */
export interface WholeUpload {
  readonly key: string
  readonly id: string
  readonly uploadId: string
  readonly parts: readonly CompletedPart[]
  readonly signal?: AbortSignal | undefined
}

/** Makes one object of the parts of an upload. */
export async function completeUpload(
  connection: S3Connection,
  { key, id, uploadId, parts, signal }: WholeUpload,
): Promise<Omit<StoredVersion, 'size'>> {
  const object = { Bucket: connection.bucket, Key: key }
  const request = { side: 'write', key, signal } as const
  try {
    const whole = { ...object, UploadId: uploadId, MultipartUpload: { Parts: [...parts] } }
    const stored = await connection.call(request, (s3, options) =>
      s3.completeMultipartUpload(whole, options),
    )
    return { key, etag: stored.ETag || undefined, versionId: stored.VersionId }
  } catch (error) {
    // An answer that was lost: the second try finds no upload, but the object.
    if (!isMissing(error)) throw error
    const stored = await connection.head(key, request).catch(() => undefined)
    if (stored?.Metadata?.[ID] !== id) throw error
    return { key, etag: stored.ETag, versionId: stored.VersionId }
  }
}

/** Gives an upload up and frees its parts; one that is gone is given up already. */
export async function abortUpload(
  connection: S3Connection,
  { key, uploadId }: Pick<WholeUpload, 'key' | 'uploadId'>,
): Promise<void> {
  const upload = { Bucket: connection.bucket, Key: key, UploadId: uploadId }
  // Not the signal of the run: it is aborted when an upload is given up.
  const signal = AbortSignal.timeout(CLEAN_UP_MS)
  try {
    await connection.call({ side: 'write', key, signal }, (s3, options) =>
      s3.abortMultipartUpload(upload, options),
    )
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
