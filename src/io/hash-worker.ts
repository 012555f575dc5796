import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { isMainThread, Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import type { SnapError } from '../errors.ts'
import { BufferPool } from './buffer-pool.ts'
import { copyInto } from './copy-into.ts'
import { endOfThread } from './thread.ts'

/** As much as this is hashed here: less time than a thread takes to start. */
const HELD_SIZE = 512 * 1024
/** The same where it is known before: a few milliseconds, where the start of a thread takes 50 of a processor. */
const LITTLE = 16 * 1024 * 1024
/** Memory in which beginnings are held. */
const HELD = new BufferPool(HELD_SIZE, 8)

/** Bytes of one slot of the memory that is shared with the thread, a block of an archive at least, and how many there are. */
const SLOT_SIZE = 1024 * 1024 + 4 * 1024
const SLOTS = 4

/** Where the content of some bytes is: there is a gap before each so many of it. */
export interface Layout {
  readonly gap: number
  readonly pieceSize: number
}

/**
 * What the thread is told: bytes of a hash in a slot, whose content wants a CRC-32 if there is a layout; that all CRCs are wanted;
 * that there are no more bytes; or all bytes of a hash.
 */
interface Message {
  readonly id: number
  readonly slot?: number
  readonly length?: number
  readonly layout?: Layout | undefined
  readonly wanted?: 'crcs' | 'digest'
  readonly whole?: Uint8Array
}

/** What it answers: a slot that is free again, CRCs, or a digest. */
interface Answer {
  readonly id: number
  readonly slot?: number
  readonly crcs?: readonly number[]
  readonly digest?: string
}

/** The program of the thread: text, so that it needs no place where it is found. */
const PROGRAM = `
const { createHash } = require('node:crypto')
const { parentPort, workerData } = require('node:worker_threads')
const { crc32 } = require('node:zlib')
const { memory, slotSize } = workerData
const hashes = new Map()
parentPort.on('message', ({ id, slot, length, layout, wanted, whole }) => {
  if (whole !== undefined) {
    return parentPort.postMessage({ id, digest: createHash('sha256').update(whole).digest('hex') })
  }
  let taken = hashes.get(id)
  if (taken === undefined) hashes.set(id, (taken = { hash: createHash('sha256'), crcs: [] }))
  const { hash, crcs } = taken
  if (wanted === 'crcs') return parentPort.postMessage({ id, crcs })
  if (wanted === 'digest') {
    hashes.delete(id)
    return parentPort.postMessage({ id, digest: hash.digest('hex') })
  }
  const bytes = new Uint8Array(memory, slot * slotSize, length)
  hash.update(bytes)
  if (layout !== undefined) {
    const { gap, pieceSize } = layout
    let crc = 0
    for (let at = gap; at < length; at += pieceSize + gap) {
      crc = crc32(bytes.subarray(at, at + pieceSize), crc)
    }
    crcs.push(crc)
  }
  parentPort.postMessage({ id, slot })
})`

/** The CRC-32 of what is in bytes, as the thread takes it. */
function crcOf(bytes: Uint8Array, { gap, pieceSize }: Layout): number {
  let crc = 0
  for (let at = gap; at < bytes.length; at += pieceSize + gap) {
    crc = crc32(bytes.subarray(at, at + pieceSize), crc)
  }
  return crc
}

/**
 * A SHA-256 of bytes that come bit by bit. From half a megabyte on it is taken on a thread, one for all of them, where there is a
 * second processor, unless it is known that little comes. One that is given up costs some hundred bytes.
 */
export class Sha256 {
  #held: Buffer | undefined
  #size = 0
  #take: Taker | undefined
  /** Of what was held. */
  readonly #crcs: number[] = []

  /** @param expected bytes that are likely to come, if that is known */
  constructor(expected = Number.POSITIVE_INFINITY) {
    if (expected <= LITTLE) this.#take = hereTaker()
  }

  /**
   * Adds bytes. To be awaited before the next ones: they may change then, as they were hashed or copied.
   * @param layout of one byte at least, and no more than a slot, whose content wants a CRC-32: see {@link crcs}
   * @throws SnapError `E_FAILED` if the thread has died
   */
  async update(bytes: Uint8Array, layout?: Layout): Promise<void> {
    if (this.#take !== undefined) return await this.#take.update(bytes, layout)
    if (this.#size + bytes.length <= HELD_SIZE) {
      this.#held ??= HELD.take()
      this.#held.set(bytes, this.#size)
      this.#size += bytes.length
      if (layout !== undefined) this.#crcs.push(crcOf(bytes, layout))
      return
    }
    this.#take = openThread()?.begin() ?? hereTaker()
    await this.#takeHeld(this.#take)
    await this.#take.update(bytes, layout)
  }

  /** Returns the CRC-32 of all bytes that came with a layout, each of its own. @throws SnapError as {@link update} */
  async crcs(): Promise<readonly number[]> {
    return [...this.#crcs, ...((await this.#take?.crcs()) ?? [])]
  }

  /** Returns the hash in hex. Nothing can be added after. @throws SnapError as {@link update} */
  async digest(): Promise<string> {
    const take = this.#take ?? hereTaker()
    await this.#takeHeld(take)
    return await take.digest()
  }

  async #takeHeld(take: Taker): Promise<void> {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return
    await take.update(held.subarray(0, this.#size))
    HELD.give(held)
  }
}

/** Has the thread started while the first of `size` bytes still come, which would wait for it. */
export function expectHash(size: number): void {
  if (size > HELD_SIZE) openThread()
}

/**
 * Returns the SHA-256, in hex, of bytes in memory that threads share, which must not change meanwhile: without a copy, on the same
 * thread.
 * @throws SnapError `E_FAILED` if the thread has died
 */
export async function sha256OfShared(bytes: Uint8Array<SharedArrayBuffer>): Promise<string> {
  const thread = openThread()
  return thread ? await thread.hash(bytes) : createHash('sha256').update(bytes).digest('hex')
}

/** Takes one hash. */
interface Taker {
  update(bytes: Uint8Array, layout?: Layout): Promise<void>
  crcs(): Promise<readonly number[]>
  digest(): Promise<string>
}

function hereTaker(): Taker {
  const hash = createHash('sha256')
  const crcs: number[] = []
  return {
    async update(bytes, layout) {
      hash.update(bytes)
      if (layout !== undefined) crcs.push(crcOf(bytes, layout))
    },
    crcs: async () => crcs,
    digest: async () => hash.digest('hex'),
  }
}

let thread: HashThread | undefined

/** Returns the thread, which is started at the first call and ends with the process; undefined where it would not help. */
function openThread(): HashThread | undefined {
  if (!isMainThread || availableParallelism() === 1) return undefined
  thread ??= new HashThread()
  return thread
}

interface Waiter<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/**
 * The thread that hashes. What it is to hash is copied into slots of memory that both share; a slot belongs to the thread
 * from the message that names it to the answer.
 */
class HashThread {
  readonly #slots = Buffer.from(new SharedArrayBuffer(SLOTS * SLOT_SIZE))
  readonly #worker: Worker
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot)
  readonly #waiting: Waiter<number>[] = []
  /** By the hash that each is about. */
  readonly #asked = new Map<number, Waiter<Answer>>()
  #ids = 0
  #unanswered = 0
  #failure: SnapError | undefined

  constructor() {
    const workerData = { memory: this.#slots.buffer, slotSize: SLOT_SIZE }
    this.#worker = new Worker(PROGRAM, { eval: true, workerData, execArgv: [] })
    this.#worker.on('message', (answer: Answer) => this.#take(answer))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(undefined))
    this.#worker.unref()
  }

  begin(): Taker {
    const id = this.#ids++
    return {
      update: async (bytes, layout) => {
        for (let at = 0; at < bytes.length; at += SLOT_SIZE) {
          const slot = this.#free.pop() ?? (await this.#nextFree())
          const part = bytes.subarray(at, at + SLOT_SIZE)
          copyInto(this.#slots, slot * SLOT_SIZE, part)
          this.#post({ id, slot, length: part.length, layout })
        }
      },
      crcs: async () => (await this.#ask({ id, wanted: 'crcs' })).crcs ?? [],
      digest: async () => (await this.#ask({ id, wanted: 'digest' })).digest ?? '',
    }
  }

  async hash(whole: Uint8Array<SharedArrayBuffer>): Promise<string> {
    return (await this.#ask({ id: this.#ids++, whole })).digest ?? ''
  }

  #ask(message: Message): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#asked.set(message.id, { resolve, reject })
      this.#post(message)
    })
  }

  async #nextFree(): Promise<number> {
    // A slot that was with a thread that has died is never free again.
    if (this.#failure !== undefined) throw this.#failure
    return await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #post(message: Message): void {
    if (this.#failure !== undefined) throw this.#failure
    // The process must not end before it is answered, and need not go on for the thread alone.
    if (this.#unanswered++ === 0) this.#worker.ref()
    this.#worker.postMessage(message)
  }

  #take(answer: Answer): void {
    const { id, slot } = answer
    if (--this.#unanswered === 0) this.#worker.unref()
    if (slot === undefined) {
      this.#asked.get(id)?.resolve(answer)
      this.#asked.delete(id)
      return
    }
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(slot)
    else next.resolve(slot)
  }

  #fail(cause: unknown): void {
    if (thread === this) thread = undefined
    this.#failure ??= endOfThread('the thread that hashes', cause)
    for (const { reject } of [...this.#waiting, ...this.#asked.values()]) reject(this.#failure)
    this.#waiting.length = 0
    this.#asked.clear()
  }
}
