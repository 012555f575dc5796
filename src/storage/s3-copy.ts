import type { CompletedPart, ObjectLockMode } from '@aws-sdk/client-s3'
import pLimit from 'p-limit'
import { SnapError } from '../errors.ts'
import type { S3Connection } from './s3-client.ts'
import { isTaken } from './s3-errors.ts'
import { abortUpload, completeUpload, ID, inOrder, type StoredVersion } from './s3-upload.ts'

/** Above this an object is copied in parts, several at once: one request for all of it would be silent for too long. */
const MAX_WHOLE = 1024 ** 3
const PART_SIZE = 256 * 1024 ** 2
const MAX_PARTS = 10_000
const PARTS_AT_ONCE = 4
const DAY_MS = 24 * 60 * 60 * 1000
/** By how much less an object may be locked: several sets of one run need not lock it anew each. */
const LOCK_SLACK_MS = 60 * 60 * 1000

/**
 * Nobody can shorten it, not even the owner of the bucket: what holds against the key that a backup is made with must hold
 * against one that may do anything, and such keys are what many stores are used with.
 */
const LOCK_MODE: ObjectLockMode = 'COMPLIANCE'

/** An object that gets its final name. */
export interface Publication {
  readonly from: StoredVersion
  /** What the object is known by. */
  readonly id: string
  readonly to: string
  readonly lockDays?: number | undefined
  /** Bytes of a part of a copy in parts. */
  readonly partSize?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Copies an object within the store, never over one that is there. Stores that know no conditions for copies are asked
 * just before.
 * @throws SnapError `E_TARGET_EXISTS`, `E_DESTINATION`
 */
export async function copyToName(connection: S3Connection, copy: Publication): Promise<void> {
  if ((await idOf(connection, copy.to)) !== undefined) throw exists(connection, copy.to)
  const versionId = await copyOnce(connection, copy)
  if (copy.lockDays !== undefined) await lock(connection, copy, versionId)
}

/** Returns the version that was made, where there are versions and the store says so. */
async function copyOnce(connection: S3Connection, copy: Publication): Promise<string | undefined> {
  try {
    const isLarge = copy.from.size > (copy.partSize ?? MAX_WHOLE)
    return await (isLarge ? copyInParts(connection, copy) : copyWhole(connection, copy))
  } catch (error) {
    if (!isTaken(error)) throw error
    // The answer to a first try may have been lost.
    if ((await idOf(connection, copy.to)) !== copy.id) throw exists(connection, copy.to)
    return undefined
  }
}

/** What an object is known by, empty if it is not ours; undefined if there is none. */
export async function idOf(
  connection: S3Connection,
  key: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const found = await connection.head(key, { side: 'write', signal })
  return found && (found.Metadata?.[ID] ?? '')
}

/** The error of a name that is taken. */
export function exists({ bucket }: S3Connection, key: string): SnapError {
  return new SnapError('E_TARGET_EXISTS', `s3://${bucket}/${key} is there already`)
}

function sourceOf({ bucket }: S3Connection, { key, versionId, etag }: StoredVersion) {
  const path = `${bucket}/${key}`.split('/').map(encodeURIComponent).join('/')
  const version = versionId === undefined ? '' : `?versionId=${encodeURIComponent(versionId)}`
  return { CopySource: path + version, ...(etag && { CopySourceIfMatch: etag }) }
}

async function copyWhole(
  connection: S3Connection,
  { from, to: key, signal }: Publication,
): Promise<string | undefined> {
  const object = { Bucket: connection.bucket, Key: key, ...sourceOf(connection, from) }
  const copied = await connection.call({ side: 'write', key, signal }, (s3, options) =>
    s3.copyObject({ ...object, IfNoneMatch: '*' }, options),
  )
  return copied.VersionId
}

async function copyInParts(
  connection: S3Connection,
  copy: Publication,
): Promise<string | undefined> {
  const { id, to: key, signal } = copy
  const object = { Bucket: connection.bucket, Key: key }
  const created = await connection.call({ side: 'write', key, signal }, (s3, options) =>
    s3.createMultipartUpload({ ...object, Metadata: { [ID]: id } }, options),
  )
  const uploadId = created.UploadId ?? ''
  try {
    const parts = await copyParts(connection, copy, uploadId)
    const whole = await completeUpload(connection, { key, id, uploadId, parts, signal })
    return whole.versionId
  } catch (error) {
    await abortUpload(connection, { key, uploadId }).catch(() => {})
    throw error
  }
}

async function copyParts(
  connection: S3Connection,
  { from, to: key, signal, ...copy }: Publication,
  uploadId: string,
): Promise<CompletedPart[]> {
  const partSize = copy.partSize ?? Math.max(PART_SIZE, Math.ceil(from.size / MAX_PARTS))
  const limit = pLimit(PARTS_AT_ONCE)
  const copyPart = async (_: unknown, index: number) => {
    const start = index * partSize
    const end = Math.min(start + partSize, from.size)
    const part = {
      ...{ Bucket: connection.bucket, Key: key, UploadId: uploadId, PartNumber: index + 1 },
      ...{ ...sourceOf(connection, from), CopySourceRange: `bytes=${start}-${end - 1}` },
    }
    const copied = await connection.call({ side: 'write', key, signal }, (s3, options) =>
      s3.uploadPartCopy(part, options),
    )
    return { PartNumber: index + 1, ETag: copied.CopyPartResult?.ETag }
  }
  const tasks = Array.from({ length: Math.ceil(from.size / partSize) }, (_, index) =>
    limit(copyPart, undefined, index),
  )
  const ended = await Promise.allSettled(tasks)
  const failed = ended.find(({ status }) => status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
  return inOrder(ended.flatMap((task) => (task.status === 'fulfilled' ? [task.value] : [])))
}

/**
 * Locks an object for so many days from now, unless it is locked for as long already.
 * @throws SnapError `E_DESTINATION`
 */
export async function retainObject(
  connection: S3Connection,
  retention: Pick<Publication, 'to' | 'lockDays' | 'signal'>,
): Promise<void> {
  const { to: key, lockDays = 0, signal } = retention
  const found = await connection.head(key, { side: 'write', signal })
  if (found === undefined) {
    throw new SnapError('E_DESTINATION', `s3://${connection.bucket}/${key} is not there any more`)
  }
  const until = found.ObjectLockRetainUntilDate?.getTime() ?? 0
  if (until < Date.now() + lockDays * DAY_MS - LOCK_SLACK_MS) {
    await lock(connection, retention, found.VersionId)
  }
}

/**
 * Locks an object from now on. Not asked for with the copy itself: Ceph forgets that for multipart uploads, and for copies of
 * more than a few MiB.
 */
export async function lock(
  connection: S3Connection,
  { to: key, lockDays = 0, signal }: Pick<Publication, 'to' | 'lockDays' | 'signal'>,
  versionId: string | undefined,
): Promise<void> {
  const until = new Date(Date.now() + lockDays * DAY_MS)
  const object = {
    ...{ Bucket: connection.bucket, Key: key, ...(versionId && { VersionId: versionId }) },
    Retention: { Mode: LOCK_MODE, RetainUntilDate: until },
  }
  await connection.call({ side: 'write', key, signal }, (s3, options) =>
    s3.putObjectRetention(object, options),
  )
}
