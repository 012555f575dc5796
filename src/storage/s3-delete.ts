import type { ListMultipartUploadsRequest, ListObjectVersionsRequest } from '@aws-sdk/client-s3'
import { SnapError } from '../errors.ts'
import type { S3Connection } from './s3-client.ts'
import { isDenied } from './s3-errors.ts'
import { abortUpload } from './s3-upload.ts'
import type { Upload } from './store.ts'

/** What is deleted. */
export interface Deletion {
  readonly key: string
  /** The bucket keeps versions. */
  readonly versions: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Deletes an object; where the bucket keeps versions, every version of it, or else it would still cost, and an older one
 * come back. If the key of the store may not delete versions, the object is hidden.
 * @throws SnapError `E_DESTINATION`, also for an object that is locked: it is not hidden then
 */
export async function deleteObject(connection: S3Connection, deletion: Deletion): Promise<void> {
  const { key, versions, signal } = deletion
  if (versions && (await deleteVersions(connection, deletion))) return
  const object = { Bucket: connection.bucket, Key: key }
  await connection.call({ side: 'write', key, signal }, (s3, options) =>
    s3.deleteObject(object, options),
  )
}

/** Tells whether a bucket keeps versions, as far as this key may know. */
export async function keepsVersions(connection: S3Connection): Promise<boolean> {
  try {
    const { Status } = await connection.call({ side: 'write', key: '' }, (s3) =>
      s3.getBucketVersioning({ Bucket: connection.bucket }),
    )
    return Status !== undefined
  } catch {
    // A key that may not ask, or a store that knows no versions. If it is down, the deletion will say so.
    return false
  }
}

/** Returns false if versions may not be listed or deleted. */
async function deleteVersions(
  connection: S3Connection,
  { key, signal }: Deletion,
): Promise<boolean> {
  const object = { Bucket: connection.bucket, Key: key }
  const request = { side: 'write', key, signal } as const
  try {
    for await (const VersionId of versionsOf(connection, key, signal)) {
      await connection.call(request, (s3, options) =>
        s3.deleteObject({ ...object, VersionId }, options),
      )
    }
    return true
  } catch (error) {
    if (!isDenied(error)) throw error
    const until = (await connection.head(key, request))?.ObjectLockRetainUntilDate
    if (until === undefined || until.getTime() < Date.now()) return false
    const where = `s3://${connection.bucket}/${key}`
    throw new SnapError('E_DESTINATION', `${where} is locked until ${until.toISOString()}`, {
      hint: 'it can be deleted then',
    })
  }
}

async function* versionsOf(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const from: ListObjectVersionsRequest = { Bucket: connection.bucket, Prefix: key }
  for (let isMore = true; isMore; ) {
    const page = await connection.call({ side: 'write', key, signal }, (s3, options) =>
      s3.listObjectVersions(from, options),
    )
    const found = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]
    for (const { Key, VersionId = 'null' } of found) {
      if (Key === key) yield VersionId
    }
    // Keys come in order: once another one is listed, all versions of this one were.
    isMore = page.IsTruncated === true && found.every(({ Key }) => Key === key)
    from.KeyMarker = page.NextKeyMarker
    from.VersionIdMarker = page.NextVersionIdMarker
  }
}

/**
 * Lists the unfinished uploads of keys with a prefix, up to the next slash.
 * @throws SnapError `E_DESTINATION`
 */
export async function* listUploads(
  connection: S3Connection,
  { prefix, signal }: { readonly prefix: string; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Upload> {
  const from: ListMultipartUploadsRequest = { Bucket: connection.bucket, Prefix: prefix }
  for (let isMore = true; isMore; ) {
    const page = await connection.call({ side: 'write', key: prefix, signal }, (s3, options) =>
      s3.listMultipartUploads(from, options),
    )
    for (const { Key: key = '', UploadId: uploadId = '', Initiated } of page.Uploads ?? []) {
      const name = key.slice(prefix.length)
      if (name === '' || name.includes('/')) continue
      const abort = () => abortUpload(connection, { key, uploadId })
      yield { name, started: Initiated ?? new Date(), abort }
    }
    isMore = page.IsTruncated === true
    from.KeyMarker = page.NextKeyMarker
    from.UploadIdMarker = page.NextUploadIdMarker
  }
}
