import type { RandomAccess } from '../io/random-access.ts'
import { Spool } from '../io/spool.ts'
import { type FieldType, fieldTypeCode, fieldTypeOf } from '../tsm/format.ts'
import { ReadAhead } from '../tsm/read-ahead.ts'
import { type Block, sliceBlock } from '../tsm/values.ts'
import { CHUNK_HEADER_SIZE, chunkEnd, decodeChunk, encodeChunk } from './run-chunk.ts'
import type { KeyRecord } from './table.ts'

/** What one run, a stretch of the WAL sorted by key, holds of a key. */
export interface KeyPart extends Pick<KeyRecord, 'key' | 'deletes'> {
  /** Of all its points; undefined if it has none. */
  readonly type: FieldType | undefined
  /** Returns the next of its points, ascending, undefined after the last. Only while the run stands at this key. */
  next(): Promise<Block | undefined>
}

/** The keys of one run in order. */
export type Run = AsyncGenerator<KeyPart, void, undefined>

const READ_AHEAD = 64 * 1024
const WRITE_SIZE = 1024 * 1024

/** Bytes of a record's header: uint32 key length, uint32 deletes, uint32 points, uint8 type; all little-endian. */
const HEADER_SIZE = 13
const NO_TYPE = 0xff
const RANGE_SIZE = 16

/** Runs that are out of memory: one temporary file, without a name, for all of them. */
export class RunFile {
  readonly #spool: Spool
  readonly #ranges: { readonly start: number; readonly end: number }[] = []
  #pending: Uint8Array[] = []
  #pendingBytes = 0

  constructor(tempDir: string) {
    this.#spool = new Spool({ name: 'WAL runs', tempDir, memoryLimit: 0 })
  }

  /** Runs written so far. */
  get count(): number {
    return this.#ranges.length
  }

  /** Writes one run; `records` are in order of key. */
  async write(records: Iterable<KeyRecord>): Promise<void> {
    const start = this.#spool.size
    for (const record of records) {
      await this.#put(encodeHead(record))
      const { block } = record
      for (let from = 0; block !== undefined && from < block.times.length; ) {
        const to = chunkEnd(block, from)
        await this.#put(encodeChunk(sliceBlock(block, from, to)))
        from = to
      }
    }
    await this.#flush()
    this.#ranges.push({ start, end: this.#spool.size })
  }

  /** Returns the runs, oldest first, for reading. Nothing can be written after. */
  runs(): Run[] {
    if (this.#ranges.length === 0) return []
    const source = this.#spool.access()
    return this.#ranges.map(({ start, end }) => readRun(source, start, end))
  }

  /** Releases the file. May be called twice. */
  async close(): Promise<void> {
    await this.#spool.close()
  }

  async #put(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      this.#pending.push(part)
      this.#pendingBytes += part.length
    }
    if (this.#pendingBytes >= WRITE_SIZE) await this.#flush()
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pending)
    this.#pending = []
    this.#pendingBytes = 0
    await this.#spool.write(bytes)
  }
}

function encodeHead({ key, deletes, block }: KeyRecord): Uint8Array[] {
  const head = Buffer.alloc(HEADER_SIZE + deletes.length * RANGE_SIZE)
  head.writeUInt32LE(key.length, 0)
  head.writeUInt32LE(deletes.length, 4)
  head.writeUInt32LE(block?.times.length ?? 0, 8)
  head.writeUInt8(block === undefined ? NO_TYPE : fieldTypeCode(block.type), 12)
  deletes.forEach(({ minTime, maxTime }, index) => {
    head.writeBigInt64LE(minTime, HEADER_SIZE + index * RANGE_SIZE)
    head.writeBigInt64LE(maxTime, HEADER_SIZE + index * RANGE_SIZE + 8)
  })
  return [head, key]
}

/** Returns a run that is still in memory: the newest, which needs no file. */
export async function* memoryRun(records: Iterable<KeyRecord>): Run {
  for (const { key, deletes, block } of records) {
    let rest = block
    const next = async () => {
      const given = rest
      rest = undefined
      return given
    }
    yield { key, deletes, type: block?.type, next }
  }
}

async function* readRun(source: RandomAccess, start: number, end: number): Run {
  const ahead = new ReadAhead(source, end, READ_AHEAD)
  for (let at = start; at < end; ) {
    const { head, points, size } = await readHead(ahead, at)
    at += size
    let left = points
    const next = async () => {
      if (left === 0 || head.type === undefined) return undefined
      const { block, size } = await readChunk(ahead, at, head.type)
      at += size
      left -= block.times.length
      return block
    }
    yield { ...head, next }
    while (left > 0) await next()
  }
}

async function readHead(ahead: ReadAhead, at: number) {
  const header = Buffer.from(await read(ahead, at, HEADER_SIZE))
  const [keyLength, deleteCount] = [header.readUInt32LE(0), header.readUInt32LE(4)]
  const code = header.readUInt8(12)
  const size = HEADER_SIZE + deleteCount * RANGE_SIZE + keyLength
  const bytes = Buffer.from(await read(ahead, at, size))
  const keyStart = size - keyLength
  const deletes = Array.from({ length: deleteCount }, (_, index) => ({
    minTime: bytes.readBigInt64LE(HEADER_SIZE + index * RANGE_SIZE),
    maxTime: bytes.readBigInt64LE(HEADER_SIZE + index * RANGE_SIZE + 8),
  }))
  const type = code === NO_TYPE ? undefined : fieldTypeOf(code, 'WAL run')
  return {
    head: { key: bytes.subarray(keyStart), deletes, type },
    points: header.readUInt32LE(8),
    size,
  }
}

async function readChunk(ahead: ReadAhead, at: number, type: FieldType) {
  const header = Buffer.from(await read(ahead, at, CHUNK_HEADER_SIZE))
  const size = CHUNK_HEADER_SIZE + header.readUInt32LE(4)
  const bytes = new Uint8Array(size - CHUNK_HEADER_SIZE)
  bytes.set((await read(ahead, at, size)).subarray(CHUNK_HEADER_SIZE))
  return { block: decodeChunk(type, header.readUInt32LE(0), bytes.buffer), size }
}

async function read(ahead: ReadAhead, at: number, length: number): Promise<Uint8Array> {
  return ahead.peek(at, length) ?? (await ahead.fetch(at, length))
}
