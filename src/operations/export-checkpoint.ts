import { createHash } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { errnoOf, SnapError } from '../errors.ts'
import { writeFileDurably } from '../io/durable.ts'
import type { ShardName } from './inspect.ts'

/** How far an export came that sends points away. */
interface Reached {
  /** Shards of which everything arrived. */
  readonly finished: readonly string[]
  /** The last key of the shard in work of which everything arrived, with all before it; in hexadecimal digits. */
  readonly shard?: string | undefined
  readonly key?: string | undefined
}

const SCHEMA = 'snap/export-state/1'
const schema: v.GenericSchema<unknown, Reached & { readonly schema: string }> = v.object({
  schema: v.literal(SCHEMA),
  finished: v.array(v.string()),
  shard: v.optional(v.string()),
  key: v.optional(v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2})*$/))),
})

/** A checkpoint is written when so much time has gone by, in ms, and at the end of each shard. */
const INTERVAL_MS = 2000

/**
 * Remembers outside the process how far an export came, so that the next one can go on there. What arrived after the last
 * note is sent again, which changes nothing.
 */
export class ExportCheckpoint {
  readonly #path: string
  readonly #finished: Set<string>
  #reached: Reached
  #written = 0

  private constructor(path: string, reached: Reached) {
    this.#path = path
    this.#reached = reached
    this.#finished = new Set(reached.finished)
  }

  /**
   * Opens the checkpoint of an export.
   * @param identity everything that decides what is sent, and where
   * @param resume go on where the last one stopped; else begin anew
   * @throws SnapError `E_DESTINATION` if there is one that cannot be read
   */
  static async open(
    directory: string,
    identity: readonly unknown[],
    resume: boolean,
  ): Promise<ExportCheckpoint> {
    const text = (_key: string, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value
    const hash = createHash('sha256').update(JSON.stringify(identity, text)).digest('hex')
    const path = join(directory, `export-${hash.slice(0, 32)}.json`)
    return new ExportCheckpoint(path, (resume && (await readIfThere(path))) || { finished: [] })
  }

  /** True if all of a shard has arrived. */
  isFinished(shard: ShardName): boolean {
    return this.#finished.has(idOf(shard))
  }

  /** The last key of a shard that has arrived with all before it. */
  keyOf(shard: ShardName): Uint8Array | undefined {
    const { shard: id, key } = this.#reached
    return id === idOf(shard) && key !== undefined ? Buffer.from(key, 'hex') : undefined
  }

  /** Notes how far a shard came. */
  async reach(shard: ShardName, key: Uint8Array): Promise<void> {
    this.#reached = { ...this.#reached, shard: idOf(shard), key: Buffer.from(key).toString('hex') }
    if (performance.now() - this.#written > INTERVAL_MS) await this.save()
  }

  /** Notes that all of a shard has arrived. */
  async finish(shard: ShardName): Promise<void> {
    this.#finished.add(idOf(shard))
    this.#reached = { finished: [...this.#finished] }
    await this.save()
  }

  /** Writes down what is known. */
  async save(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    const text = JSON.stringify({ schema: SCHEMA, ...this.#reached })
    await writeFileDurably(this.#path, Buffer.from(text))
    this.#written = performance.now()
  }

  /** Forgets all of it: the export is done. */
  async remove(): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

async function readIfThere(path: string): Promise<Reached | undefined> {
  try {
    const { schema: _, ...reached } = v.parse(schema, JSON.parse(await readFile(path, 'utf8')))
    return reached
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw new SnapError('E_DESTINATION', `${path}: is no state of an export`, {
      cause: error,
      hint: 'leave out --resume to begin anew',
    })
  }
}

function idOf({ database, retentionPolicy, shardId }: ShardName): string {
  return JSON.stringify([database, retentionPolicy, String(shardId)])
}
