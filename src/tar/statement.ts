import { createHash, type Hash } from 'node:crypto'
import * as v from 'valibot'
import { SnapError } from '../errors.ts'
import { hashing } from '../io/hashing.ts'
import { formatEntryName, parseEntryName } from './names.ts'
import type { TarEntry } from './reader.ts'
import type { TarEntryInput } from './writer.ts'

/**
 * The last entry of a snapshot whose server was asked to say that it is complete: JSON of what was asked, how many files went
 * before it, their bytes, the SHA-256 over `name NUL size NUL contents` of each, and what the shard itself had lost. See
 * docs/protocol.md.
 */
export const STATEMENT_FILE = 'complete.snap'

/** A statement is a line of JSON. */
const MAX_STATEMENT_SIZE = 1024 * 1024

/** A shard by its names and id. */
interface Shard {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint
}

/** What of a shard is asked for, in nanoseconds since 1970: its files changed after a time, or its points of a range. */
export type Asked = { readonly since: bigint } | { readonly start: bigint; readonly end: bigint }

const statementSchema = v.object({
  asked: v.record(v.string(), v.string()),
  files: v.number(),
  bytes: v.number(),
  sha256: v.optional(v.string()),
  state: v.optional(v.string()),
  shape: v.optional(v.string()),
  lost: v.array(v.string()),
})

type Statement = v.InferOutput<typeof statementSchema>

/** Counts the files of a shard while they pass, and hashes them if that is wanted. */
class Tally {
  readonly #hash: Hash | undefined
  #files = 0
  #bytes = 0

  constructor(hashed: boolean) {
    this.#hash = hashed ? createHash('sha256') : undefined
  }

  add(entry: TarEntryInput): TarEntryInput {
    const { name, size } = entry
    this.#files++
    this.#bytes += size
    const hash = this.#hash
    if (hash === undefined) return entry
    hash.update(`${parseEntryName(name).file}\0${size}\0`)
    return { ...entry, body: hashing(entry.body, hash) }
  }

  statement(): Pick<Statement, 'files' | 'bytes' | 'sha256'> {
    const sha256 = this.#hash?.digest('hex')
    return { files: this.#files, bytes: this.#bytes, ...(sha256 && { sha256 }) }
  }
}

/** What a statement is added for. */
export interface StatementOptions {
  readonly shard: Shard
  /** As the server understood it: its peer then sees if the question was damaged on the way. */
  readonly asked: Asked
  /** Digests of the files of the shard that all of it comes from, see docs/protocol.md. */
  readonly state?: string | undefined
  readonly shape?: string | undefined
  /** Asked at the end for what the shard itself has lost, one line each. */
  readonly lost: () => readonly string[]
  /** Take the SHA-256 of the files. Default true. */
  readonly hashed?: boolean | undefined
}

/** Passes the files of a shard on and ends with the statement that they are all there is. */
export async function* addStatement(
  entries: AsyncIterable<TarEntryInput>,
  { shard, asked, state, shape, lost, hashed = true }: StatementOptions,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const tally = new Tally(hashed)
  for await (const entry of entries) yield tally.add(entry)
  const said = { ...tally.statement(), state, shape, lost: [...lost()] }
  const statement: Statement = { asked: askedText(asked), ...said }
  const body = Buffer.from(`${JSON.stringify(statement)}\n`)
  yield { name: statementName(shard), size: body.length, mtime: new Date(0), body: [body] }
}

function statementName({ database, retentionPolicy, shardId }: Shard): string {
  return formatEntryName({ database, retentionPolicy, shardId, file: STATEMENT_FILE })
}

function askedText(asked: Asked): Record<string, string> {
  return Object.fromEntries(Object.entries(asked).map(([key, time]) => [key, String(time)]))
}

/** What a statement says besides that all is there. */
export type Stated = Pick<Statement, 'lost' | 'state' | 'shape'>

/** What a statement must be about. */
export interface Expected {
  /** Names the shard in messages. */
  readonly what: string
  readonly shard: Shard
  readonly asked: Asked
  /** It has the SHA-256 of the files. Default true; false where they come from this very process. */
  readonly hashed?: boolean | undefined
}

/**
 * Passes the files of a shard on and takes the statement at their end away.
 * @param onStated told what it says once it was found right
 * @throws SnapError `E_CUT` if there is none, `E_FORMAT` if it is not about these files, or answers another question
 */
export async function* takeStatement(
  entries: AsyncIterable<TarEntry>,
  expected: Expected,
  onStated: (statement: Stated) => void,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const { what, hashed = true } = expected
  const tally = new Tally(hashed)
  let stated: Statement | undefined
  for await (const entry of entries) {
    if (stated !== undefined) throw wrong(what, `${entry.name} comes after it`)
    if (parseEntryName(entry.name).file === STATEMENT_FILE) {
      stated = await readStatement(entry, expected)
    } else yield tally.add(entry)
  }
  if (stated === undefined) {
    throw new SnapError('E_CUT', `${what}: the server does not say that it is complete`)
  }
  const seen = tally.statement()
  const same =
    stated.files === seen.files && stated.bytes === seen.bytes && stated.sha256 === seen.sha256
  if (same) {
    onStated(stated)
    return
  }
  const [told, got] = [stated, seen].map(
    ({ files, bytes, sha256 }) => `${files} files of ${bytes} bytes with sha256 ${sha256}`,
  )
  throw wrong(what, `expected ${told}, got ${got}`)
}

/** Reads a statement and checks that it answers what was asked. */
async function readStatement(
  entry: TarEntry,
  { what, shard, asked }: Expected,
): Promise<Statement> {
  const stated = await parseStatement(entry, what)
  const name = statementName(shard)
  if (entry.name !== name) throw wrong(what, `it is ${entry.name}, expected ${name}`)
  const [wanted, got] = [askedText(asked), stated.asked].map((times) =>
    JSON.stringify(Object.entries(times).sort()),
  )
  if (wanted === got) return stated
  throw wrong(what, `the server was asked for ${got}, expected ${wanted}`)
}

async function parseStatement({ body, size }: TarEntry, what: string): Promise<Statement> {
  if (size > MAX_STATEMENT_SIZE) throw wrong(what, `it has ${size} bytes`)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  try {
    return v.parse(statementSchema, JSON.parse(Buffer.concat(chunks).toString()))
  } catch (error) {
    throw new SnapError('E_FORMAT', `${what}: ${STATEMENT_FILE} is not what it should be`, {
      cause: error,
    })
  }
}

function wrong(what: string, why: string): SnapError {
  return new SnapError('E_FORMAT', `${what}: ${STATEMENT_FILE}: ${why}`)
}
