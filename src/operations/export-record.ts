import { createHash, randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { PENDING_SUFFIX } from '../io/pending.ts'
import {
  isAbandonedName,
  isGone,
  ownerSchema,
  parseOwner,
  thisProcess,
} from '../io/process-owner.ts'
import type { Store } from '../storage/index.ts'
import { readSmall } from './read-small.ts'

/** Begins the name of a record. */
const PREFIX = 'snap-export-'
const NAME = /^snap-export-[0-9a-f-]{36}\.pending$/

/** More than the record of any export; it bounds what is read. */
const MAX_RECORD = 64 * 1024 * 1024

const recordSchema = v.object({
  owner: v.object(ownerSchema.entries),
  files: v.array(
    v.object({
      name: v.string(),
      /** Bytes of the whole file, once all are whole and they begin to get their names. */
      size: v.optional(v.number()),
      /** In hexadecimal, of the same bytes: what has the name later may be of somebody else. */
      sha256: v.optional(v.string()),
    }),
  ),
})

type RecordedFile = v.InferOutput<typeof recordSchema>['files'][number]

/**
 * Says beside the files of an export whose they are while it runs, so that a later export can remove what it left if it was killed.
 * The names must be reserved.
 */
export class ExportRecord {
  readonly #store: Store
  readonly #name = `${PREFIX}${randomUUID()}${PENDING_SUFFIX}`

  private constructor(store: Store) {
    this.#store = store
  }

  /** Notes which files are going to be written. */
  static async create(store: Store, names: readonly string[]): Promise<ExportRecord> {
    const record = new ExportRecord(store)
    await store.create(record.#name, textOf(names.map((name) => ({ name }))))
    return record
  }

  /** Notes what is in the files that are about to get their names. */
  async seal(files: readonly Required<RecordedFile>[]): Promise<void> {
    await this.#store.write(this.#name, textOf(files))
  }

  /** Ends it: all files have their names, or are removed. */
  async remove(): Promise<void> {
    await this.#store.delete(this.#name)
  }
}

function textOf(files: readonly RecordedFile[]): string {
  const list = files.map(({ name, size, sha256 }) => ({ name, size, sha256 }))
  return JSON.stringify({ owner: thisProcess(), files: list })
}

/** Removes what exports of processes that are gone have left in a place. */
export async function removeExportLeftovers(store: Store): Promise<void> {
  const listed: string[] = []
  for await (const { name } of store.list(undefined, 'snap-')) listed.push(name)
  for (const name of listed) {
    if (isAbandonedName(name)) await store.delete(name)
    if (!NAME.test(name)) continue
    const record = parseRecord(await readSmall(store, name, { limit: MAX_RECORD }))
    if (record === undefined || !isGone(record.owner)) continue
    await removeFiles(store, record.files)
    await store.delete(name)
  }
}

/** Removes the reservation of a name if the process that made it is gone: true if it did. */
export async function removeReservation(store: Store, name: string): Promise<boolean> {
  const reservation = name + PENDING_SUFFIX
  const owner = parseOwner(await readSmall(store, reservation))
  if (owner === undefined || !isGone(owner)) return false
  await store.delete(reservation)
  return true
}

/** Files that all have their names stay: the export was done but for saying so. */
async function removeFiles(store: Store, files: readonly RecordedFile[]): Promise<void> {
  const named: string[] = []
  for (const file of files) if (await isThere(store, file)) named.push(file.name)
  if (named.length < files.length) for (const name of named) await store.delete(name)
  for (const { name } of files) await store.delete(name + PENDING_SUFFIX)
}

/** True if what has the name is the file that was recorded, to the last byte. */
async function isThere(store: Store, { name, size, sha256 }: RecordedFile): Promise<boolean> {
  if (sha256 === undefined || (await store.stat(name))?.size !== size) return false
  const hash = createHash('sha256')
  for await (const chunk of store.read(name)) hash.update(chunk)
  return hash.digest('hex') === sha256
}

function parseRecord(text: string): v.InferOutput<typeof recordSchema> | undefined {
  try {
    return v.parse(recordSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}
