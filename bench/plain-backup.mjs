// What a backup of stored blocks cannot do without, and nothing else: shards are received from influxd, a SHA-256 is taken of
// each on a thread, and they are written and synced, four at a time. Bytes are copied nowhere: the socket is read into memory
// that the thread hashes and the disk writes. No CRC, no tar, no look into TSM files, no names and no set: no backup.
//
//   node bench/plain-backup.mjs HOST:PORT FOLDER SHARD...
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { openingOf } from './opening.mjs'

/** The path of this program. */
export const PLAIN_BACKUP = fileURLToPath(import.meta.url)

const JOBS = 4
/** Bytes that are hashed and written at once, and how many pieces of that a shard has. */
const PIECE_SIZE = 1024 * 1024
const PIECES = 4
/** Writes past the cache are of whole pages: what a file has more is written the usual way. */
const PAGE_SIZE = 4096
const WASM_PAGE_SIZE = 64 * 1024

/** Takes the hash of what comes: pieces, and at last nothing, by the shard's number. */
function hashAll(port) {
  const hashes = new Map()
  port.on('message', ({ shard, piece, memory, size }) => {
    const hash = hashes.get(shard) ?? createHash('sha256')
    hashes.set(shard, hash)
    if (memory === undefined) hash.digest('hex')
    else hash.update(new Uint8Array(memory, 0, size))
    port.postMessage({ shard, piece })
  })
}

/** Starts the thread; the result hands a piece to it, and resolves when it is hashed. */
function startHashing() {
  const worker = new Worker(PLAIN_BACKUP)
  const waiting = new Map()
  worker.on('error', (error) => {
    throw error
  })
  worker.on('message', ({ shard, piece }) => {
    waiting.get(`${shard} ${piece}`)()
    if (waiting.delete(`${shard} ${piece}`) && waiting.size === 0) worker.unref()
  })
  return (message) =>
    new Promise((resolve) => {
      worker.ref()
      waiting.set(`${message.shard} ${message.piece}`, resolve)
      worker.postMessage(message)
    })
}

/** Memory that threads share and that begins with a page, as direct writes want it. */
function alignedMemory() {
  const pages = PIECE_SIZE / WASM_PAGE_SIZE
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer
}

/** Receives all that answers a request: into memory that `next` gives, which goes to `full` with the bytes that are in it. */
async function receive(host, shard, { next, full }) {
  const [address, port] = host.split(':')
  let memory = await next()
  // A socket wants to know at once where it is to read to next.
  let spare = await next()
  let size = 0
  const turn = async () => {
    full(memory, size)
    memory = spare
    size = 0
    socket.pause()
    spare = await next()
    socket.resume()
  }
  const socket = connect({
    ...{ host: address, port: Number(port) },
    onread: {
      buffer: () => new Uint8Array(memory, size),
      callback(count) {
        size += count
        if (size < PIECE_SIZE) return true
        turn().catch((error) => socket.destroy(error))
        return false
      },
    },
  })
  const ended = once(socket, 'close')
  socket.write(Buffer.from(openingOf(shard), 'hex'))
  await ended
  if (size > 0) full(memory, size)
}

async function backUp(host, folder, { shard, hash }) {
  const path = join(folder, `${shard}.tar`)
  const { O_WRONLY, O_CREAT, O_DIRECT } = constants
  const usual = await open(path, O_WRONLY | O_CREAT, 0o600)
  const direct = await open(path, O_WRONLY | O_DIRECT).catch(() => open(path, O_WRONLY))
  const free = Array.from({ length: PIECES }, (_, piece) => ({ piece, memory: alignedMemory() }))
  const used = new Map()
  const working = new Set()
  let at = 0
  const next = async () => {
    while (free.length === 0) await Promise.race(working)
    const one = free.pop()
    used.set(one.memory, one)
    return one.memory
  }
  const full = (memory, size) => {
    const one = used.get(memory)
    const whole = size & -PAGE_SIZE
    const bytes = new Uint8Array(memory, 0, size)
    const writes = [
      ...(whole > 0 ? [direct.write(bytes, 0, whole, at)] : []),
      ...(whole < size ? [usual.write(bytes, whole, size - whole, at + whole)] : []),
    ]
    at += size
    const work = Promise.all([hash({ shard, ...one, size }), ...writes]).then(() => {
      working.delete(work)
      free.push(one)
    })
    working.add(work)
  }
  await receive(host, shard, { next, full })
  await Promise.all(working)
  await hash({ shard })
  await usual.sync()
  await Promise.all([usual.close(), direct.close()])
  if (at === 0) throw new Error(`${host}: no shard ${shard}`)
}

async function main([host, folder, ...shards]) {
  await mkdir(folder)
  const hash = startHashing()
  const left = shards.map(Number)
  const worker = async () => {
    for (let shard = left.shift(); shard !== undefined; shard = left.shift()) {
      await backUp(host, folder, { shard, hash })
    }
  }
  await Promise.all(Array.from({ length: JOBS }, worker))
}

if (!isMainThread) hashAll(parentPort)
else if (process.argv[1] === PLAIN_BACKUP) await main(process.argv.slice(2))
