import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import { fsyncDirectory, writeFileDurably } from '../io/durable.ts'
import { isGone, ownerSchema, thisProcess } from '../io/process-owner.ts'
import type { Restorable } from './restorable.ts'
import type { DatabasePlan } from './restore-plan.ts'

/** What an earlier run of the same restore has done to a database, by its new name. */
export interface JournaledDatabase {
  /** From old to new shard ids; undefined if the answer of the server was not noted any more. */
  readonly ids: ReadonlyMap<bigint, bigint> | undefined
}

/** Which restore it is: equal for a run that shall do the same. */
export interface RestoreIdentity {
  readonly backup: Pick<Restorable, 'url' | 'set'>
  readonly plan: { readonly databases: readonly DatabasePlan[] }
  /** Which points are restored; left out, all. */
  readonly part?: unknown
  /** The server's name and the ClusterID of its metastore. */
  readonly server: string
  readonly clusterId: bigint
}

const SCHEMA = 'snap/restore-state/1'
const idText = v.pipe(
  v.string(),
  v.regex(/^\d{1,20}$/),
  v.transform((text) => BigInt(text)),
)

/** First the header, then one line for each thing that was done. */
const headerSchema = v.object({ schema: v.literal(SCHEMA), owner: v.object(ownerSchema.entries) })
const lineSchema = v.union([
  v.object({ database: v.string(), ids: v.optional(v.array(v.tuple([idText, idText]))) }),
  v.object({ shard: idText }),
])

/** More than the state of any restore; it bounds what is read. */
const MAX_SIZE = 512 * 1024 * 1024

/**
 * What a restore has done so far, in a file that outlives it: lines of JSON, each on the disk before the next step. A line
 * that is cut counts as not written. Nothing is written before the first step.
 */
export class RestoreJournal {
  readonly path: string
  readonly #header: string
  readonly #databases = new Map<string, JournaledDatabase>()
  readonly #finished = new Set<bigint>()
  #handle: FileHandle | undefined
  #queue: Promise<unknown> = Promise.resolve()

  /** Use {@link openJournal}. */
  constructor(path: string, header: string, lines: readonly v.InferOutput<typeof lineSchema>[]) {
    this.path = path
    this.#header = header
    for (const line of lines) this.#take(line)
  }

  /** True if an earlier run has left it. */
  get isLeft(): boolean {
    return this.#databases.size > 0
  }

  /** What was begun to be done to a database, if anything. */
  database(newDatabase: string): JournaledDatabase | undefined {
    return this.#databases.get(newDatabase)
  }

  /** True if the shard, by its id in the backup, was restored and read back. */
  isFinished(shardId: bigint): boolean {
    return this.#finished.has(shardId)
  }

  /** Forgets what was done to a database that is not there any more. */
  forget({ newDatabase, shards }: DatabasePlan): void {
    this.#databases.delete(newDatabase)
    for (const { shardId } of shards) this.#finished.delete(shardId)
  }

  /** Notes that a database is about to be made, or was. */
  async addDatabase(database: string, ids?: ReadonlyMap<bigint, bigint>): Promise<void> {
    await this.#add({ database, ids: ids && [...ids] })
    this.#databases.set(database, { ids })
  }

  /** Notes that a shard is restored. */
  async addShard(shardId: bigint): Promise<void> {
    await this.#add({ shard: shardId })
    this.#finished.add(shardId)
  }

  /** Lets go of the file, which stays. */
  async close(): Promise<void> {
    await this.#queue.catch(() => {})
    await this.#handle?.close()
    this.#handle = undefined
  }

  /** Removes the file: all is done, or undone. */
  async remove(): Promise<void> {
    await this.close()
    await rm(this.path, { force: true })
  }

  #take(line: v.InferOutput<typeof lineSchema>): void {
    if ('shard' in line) this.#finished.add(line.shard)
    else this.#databases.set(line.database, { ids: line.ids && new Map(line.ids) })
  }

  #add(line: object): Promise<void> {
    const added = this.#queue.then(async () => {
      this.#handle ??= await this.#create()
      await this.#handle.appendFile(lineOf(line))
      await this.#handle.datasync()
    })
    this.#queue = added.catch(() => {})
    return added.catch((error: unknown) => {
      throw asSnapError(error, 'E_DESTINATION', this.path)
    })
  }

  /** Writes what is known so far under the name of this process. */
  async #create(): Promise<FileHandle> {
    const databases = [...this.#databases].map(([database, { ids }]) =>
      lineOf({ database, ids: ids && [...ids] }),
    )
    const directory = dirname(this.path)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await fsyncDirectory(dirname(directory))
    const shards = [...this.#finished].map((shard) => lineOf({ shard }))
    await writeFileDurably(this.path, Buffer.from([this.#header, ...databases, ...shards].join('')))
    return await open(this.path, 'a')
  }
}

/**
 * Opens the state of a restore, with what an earlier run of it has left.
 * @param directory made with the first step
 * @throws SnapError `E_LOCKED` if that run goes on, `E_DESTINATION` if the state cannot be read or kept
 */
export async function openJournal(
  directory: string,
  identity: RestoreIdentity,
): Promise<RestoreJournal> {
  const path = join(directory, `restore-${keyOf(identity)}.jsonl`)
  const { backup, server } = identity
  const started = new Date().toISOString()
  const words = { source: backup.url, set: backup.set, target: server, started }
  const header = lineOf({ schema: SCHEMA, ...words, owner: thisProcess() })
  try {
    return new RestoreJournal(path, header, await readLines(path))
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}

async function readLines(path: string): Promise<v.InferOutput<typeof lineSchema>[]> {
  const text = await readIfThere(path)
  const [first = '', ...rest] = text.split('\n')
  const header = parse(headerSchema, first)
  if (header === undefined) return []
  if (header.owner.pid !== process.pid && !isGone(header.owner)) {
    throw new SnapError('E_LOCKED', `${path}: process ${header.owner.pid} does this restore`, {
      hint: 'wait for it to end; if no such snap is running, remove that file',
    })
  }
  const lines: v.InferOutput<typeof lineSchema>[] = []
  for (const line of rest) {
    const parsed = parse(lineSchema, line)
    if (parsed === undefined) break
    lines.push(parsed)
  }
  return lines
}

async function readIfThere(path: string): Promise<string> {
  try {
    const handle = await open(path, 'r')
    try {
      const { size } = await handle.stat()
      if (size > MAX_SIZE) throw new Error(`${size} bytes are no state of a restore`)
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  line: string,
): v.InferOutput<Schema> | undefined {
  try {
    return v.parse(schema, JSON.parse(line))
  } catch {
    return undefined
  }
}

function lineOf(line: object): string {
  const text = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
  return `${JSON.stringify(line, text)}\n`
}

/** Everything that decides what the restore does, so that what was done for another is never taken for it. */
function keyOf({ backup, plan, part, server, clusterId }: RestoreIdentity): string {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([backup.url, backup.set ?? null, server, String(clusterId)]))
  if (part !== undefined) hash.update(lineOf({ part }))
  for (const database of plan.databases) {
    const { newDatabase, newRetentionPolicy = null, metaBytes, shards } = database
    const archives = shards.flatMap(({ shardId, parts }) =>
      parts.map(({ name, stored, tarSize }) => [String(shardId), name, stored?.sha256, tarSize]),
    )
    hash.update(JSON.stringify([database.database, newDatabase, newRetentionPolicy, archives]))
    hash.update(metaBytes)
  }
  return hash.digest('hex').slice(0, 32)
}
