import type { HttpClient, QueryRow } from '../client/index.ts'
import { quoteName, quoteString } from '../meta/index.ts'
import { parseGoTime } from '../protocol/go-time.ts'
import { mergeBlocks } from '../tsm/arrange.ts'
import { measurementOf, parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import { type Block, MAX_TIME, sliceBlock, stringAt } from '../tsm/values.ts'
import type { ShardName } from './inspect.ts'

/** Points that queries return with other values than they should, or not at all. */
export interface WrongPoints {
  readonly points: number
  /** The first of them, in words. */
  readonly first: string
}

/** Whom to ask. */
export interface SelectCheckOptions {
  readonly http: HttpClient
  /** Names at the server. */
  readonly shard: Pick<ShardName, 'database' | 'retentionPolicy'>
  /** All tag keys of each measurement there. */
  readonly tagKeys: TagKeys
  /** Where the shard begins. */
  readonly start: bigint
  readonly signal: AbortSignal
}

/** Names of tags by measurement. */
export type TagKeys = ReadonlyMap<string, ReadonlySet<string>>

/** Points of one series and field that are asked for in one statement. */
interface Question {
  readonly measurement: string
  readonly tags: ReadonlyMap<string, string>
  readonly field: string
  /** From here on the server looks at the blocks of its files. */
  readonly start: bigint
  readonly block: Block
}

/** A question that is being answered. */
interface Asked extends Question {
  /** Points whose rows have passed. */
  at: number
}

/** A server may have to read many blocks for an answer, ms. */
const DEADLINE_MS = 600_000
/** Points and statements of one request. Most series have fewer points in a shard, and are read from their first block on. */
const REQUEST_POINTS = 50_000
const REQUEST_STATEMENTS = 500
/** Bytes of strings that count as a point. */
const STRING_UNIT = 64

/** Compares points with what SELECT returns of them, so many in one request that an answer stays small. */
export class SelectCheck {
  #points = 0
  #first: string | undefined
  readonly #options: SelectCheckOptions
  #waiting: Question[] = []
  #size = 0
  #lastId = ''

  constructor(options: SelectCheckOptions) {
    this.#options = options
  }

  /** What was wrong of all that was asked for. */
  get wrong(): WrongPoints | undefined {
    return this.#first === undefined ? undefined : { points: this.#points, first: this.#first }
  }

  /** Adds points that should be there: keys one after the other, the blocks of each in time. */
  async add(key: Uint8Array, block: Block): Promise<void> {
    const names = namesOf(key)
    if (names === undefined) return
    for (let at = 0; at < block.times.length; ) {
      const room = REQUEST_POINTS - this.#size
      if (room <= 0 || this.#waiting.length >= REQUEST_STATEMENTS) await this.finish()
      else at = this.#put(names, sliceBlock(block, at, endOf(block, at, room)), at)
    }
  }

  #put(names: Names, block: Block, at: number): number {
    const id = idOf(names)
    const last = this.#waiting.at(-1)
    const isSame = id === this.#lastId
    if (last !== undefined && isSame) {
      this.#waiting.splice(-1, 1, { ...last, block: mergeBlocks(last.block, block) })
    } else {
      const start = isSame ? (block.times[0] ?? 0n) : this.#options.start
      this.#waiting.push({ ...names, start, block })
    }
    this.#lastId = id
    this.#size += sizeOf(block)
    return at + block.times.length
  }

  /** Asks for all that was added and not asked for yet. */
  async finish(): Promise<void> {
    const open = new Map(this.#waiting.map((question) => [idOf(question), { ...question, at: 0 }]))
    this.#waiting = []
    this.#size = 0
    if (open.size === 0) return
    const { http, signal } = this.#options
    const statements = [...open.values()].map((question) => this.#statementOf(question))
    const parts = http.queryRows(statements.join('; '), { signal, deadline: DEADLINE_MS })
    for await (const rows of parts) {
      for (const { id, row } of withIds(rows)) {
        const asked = open.get(id)
        if (asked !== undefined) this.#take(asked, row)
      }
    }
    for (const asked of open.values()) this.#miss(asked, MAX_TIME)
  }

  /** Compares a row with what is expected at its time; rows of a question come in the order of their times. */
  #take(asked: Asked, { values }: QueryRow): void {
    const { block, field } = asked
    const time = parseGoTime(String(values['time']))
    this.#miss(asked, time - 1n)
    if (block.times[asked.at] !== time) return
    if (!isReturned(block, asked.at, values[field])) this.#note(asked, values[field])
    asked.at++
  }

  /** Counts points up to a time as missing. */
  #miss(asked: Asked, until: bigint): void {
    for (; (asked.block.times[asked.at] ?? MAX_TIME) <= until; asked.at++) {
      if (asked.at === asked.block.times.length) return
      if (!isReturned(asked.block, asked.at, undefined)) this.#note(asked, undefined)
    }
  }

  #statementOf({ measurement, tags, field, start, block }: Question): string {
    const { shard, tagKeys } = this.#options
    const from = [shard.database, shard.retentionPolicy, measurement].map(quoteName).join('.')
    const keys = new Set([...tags.keys(), ...(tagKeys.get(measurement) ?? [])])
    const where = [
      `time >= ${start}`,
      `time <= ${block.times.at(-1)}`,
      ...[...keys].map((key) => `${quoteName(key)}::tag = ${quoteString(tags.get(key) ?? '')}`),
    ]
    const select = `SELECT ${quoteName(field)}::field FROM ${from}`
    return `${select} WHERE ${where.join(' AND ')} GROUP BY *`
  }

  #note({ measurement, tags, field, block, at }: Asked, got: unknown): void {
    this.#points++
    if (this.#first !== undefined) return
    const series = [measurement, ...[...tags].map(([key, value]) => `${key}=${value}`)].join(',')
    const where = `${series} ${field} at ${block.times[at]}`
    const found = got === undefined ? 'none' : JSON.stringify(got)
    this.#first = `${where}: expected ${textOf(block, at)}, got ${found}`
  }
}

type Names = Pick<Question, 'measurement' | 'tags' | 'field'>

/** Returns the names that a query can say: those that are UTF-8. */
function namesOf(key: Uint8Array): Names | undefined {
  const { seriesKey, field } = parseCompositeKey(key)
  const { tags } = parseSeriesKey(seriesKey)
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const text = (bytes: Uint8Array) => decoder.decode(bytes)
    return {
      measurement: text(measurementOf(seriesKey)),
      tags: new Map(tags.map((tag) => [text(tag.key), text(tag.value)])),
      field: text(field),
    }
  } catch {
    return undefined
  }
}

/** A series and field, as a question and the rows of its answer have them. */
function idOf({ measurement, tags, field }: Names): string {
  return JSON.stringify([measurement, [...tags].sort(), field])
}

/** Says of rows which question they answer; those of one series follow each other. */
function* withIds(rows: readonly QueryRow[]): Generator<{ id: string; row: QueryRow }> {
  let last:
    | { readonly of: QueryRow['tags']; readonly field: string; readonly id: string }
    | undefined
  for (const row of rows) {
    const [, field = ''] = Object.keys(row.values)
    if (last?.of !== row.tags || last.field !== field) {
      const tags = new Map(Object.entries(row.tags).filter(([, value]) => value !== ''))
      last = { of: row.tags, field, id: idOf({ measurement: row.name, tags, field }) }
    }
    yield { id: last.id, row }
  }
}

/** Integers are compared as JSON has them, rounded above 2^53. Strings that are not UTF-8 arrive as others. */
function isReturned(block: Block, i: number, got: unknown): boolean {
  switch (block.type) {
    case 'float':
      return block.values[i] === got || !Number.isFinite(block.values[i])
    case 'integer':
    case 'unsigned':
      return Number(block.values[i]) === got
    case 'boolean':
      return (block.values[i] === 1) === got
    case 'string': {
      const text = Buffer.from(stringAt(block.values, i)).toString()
      return text === got || (typeof got === 'string' && text.includes('\ufffd'))
    }
  }
}

function textOf(block: Block, i: number): string {
  if (block.type === 'string')
    return JSON.stringify(Buffer.from(stringAt(block.values, i)).toString())
  return block.type === 'boolean' ? String(block.values[i] === 1) : String(block.values[i])
}

function sizeOf(block: Block): number {
  if (block.type !== 'string') return block.times.length
  const [first = 0] = block.values.offsets
  const last = block.values.offsets[block.times.length] ?? first
  return block.times.length + Math.ceil((last - first) / STRING_UNIT)
}

/** Returns the end of the points from `at` on that have room, of one at least. */
function endOf(block: Block, at: number, room: number): number {
  const length = block.times.length
  if (block.type !== 'string') return Math.min(length, at + Math.max(1, room))
  const { offsets } = block.values
  let to = at + 1
  const size = (end: number) => end - at + ((offsets[end] ?? 0) - (offsets[at] ?? 0)) / STRING_UNIT
  while (to < length && size(to + 1) <= room) to++
  return to
}
