import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { S3Connection } from './s3-client.ts'
import { idOf } from './s3-copy.ts'
import { isTaken, s3CodeOf, statusOf } from './s3-errors.ts'
import { ID } from './s3-upload.ts'

/** How long others that made the same object without a condition are waited for, ms. */
const SETTLE_MS = 1_000
const NOT_IMPLEMENTED = 501

/** A small object. */
export interface SmallObject {
  readonly key: string
  readonly text: string | Uint8Array
  readonly signal?: AbortSignal | undefined
}

/** Stores a small object in place of what is there. */
export async function putSmall(
  connection: S3Connection,
  { key, text, signal }: SmallObject,
  { id, isNew = false }: { readonly id: string; readonly isNew?: boolean },
): Promise<void> {
  const Body = Buffer.from(text)
  const content = { Body, ContentLength: Body.length, Metadata: { [ID]: id } }
  const object = { Bucket: connection.bucket, Key: key, ...content }
  await connection.call({ side: 'write', key, signal }, (s3, options) =>
    s3.putObject({ ...object, ...(isNew && { IfNoneMatch: '*' }) }, options),
  )
}

/** Makes a small object unless there is one, on a store that keeps that condition. */
export async function createOnce(connection: S3Connection, object: SmallObject): Promise<boolean> {
  const id = randomUUID()
  try {
    await putSmall(connection, object, { id, isNew: true })
    return true
  } catch (error) {
    if (!isTaken(error)) throw error
    // Also what a second try is answered when the answer to the first was lost.
    return (await idOf(connection, object.key, object.signal)) === id
  }
}

/** Makes a small object unless there is one, as well as it can be done without conditions. */
export async function createLastWins(
  connection: S3Connection,
  object: SmallObject,
): Promise<boolean> {
  const { key, signal } = object
  const id = randomUUID()
  if ((await idOf(connection, key, signal)) !== undefined) return false
  await putSmall(connection, object, { id })
  await sleep(SETTLE_MS, undefined, signal && { signal }).catch(() => signal?.throwIfAborted())
  return (await idOf(connection, key, signal)) === id
}

/** Finds out whether a store keeps conditions: some take a write that has one as any other. `key` must be nobody else's. */
export async function keepsConditions(
  connection: S3Connection,
  { key, signal }: Omit<SmallObject, 'text'>,
): Promise<boolean> {
  const probe = { key, text: '', signal }
  try {
    await putSmall(connection, probe, { id: '' })
    await putSmall(connection, probe, { id: '', isNew: true })
    return false
  } catch (error) {
    if (isTaken(error)) return true
    const cause = error instanceof Error ? error.cause : undefined
    if (statusOf(cause) === NOT_IMPLEMENTED || s3CodeOf(error) === 'NotImplemented') return false
    throw error
  }
}
