// What restoring stored blocks into a directory costs at the least: each archive read once, its SHA-256 taken on a thread, its
// CRC-32 taken, all of it written and synced, and maybe read back. No tar, no TSM, no names, nothing that must not be left behind.
import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'

const PIECE_SIZE = 1024 * 1024
const JOBS = 4
const PAGE = 4096

/** Hashes pieces of memory that it shares, each file with its own hash. */
const HASHER = `
const { createHash } = require('node:crypto')
const { parentPort, workerData } = require('node:worker_threads')
const pieces = workerData.map((memory) => new Uint8Array(memory))
const hashes = new Map()
parentPort.on('message', ({ id, piece, length }) => {
  if (!hashes.has(id)) hashes.set(id, createHash('sha256'))
  const hash = hashes.get(id)
  if (piece === undefined) return parentPort.postMessage(hash.digest('hex'))
  hash.update(pieces[piece].subarray(0, length))
  parentPort.postMessage(id)
})`

/**
 * Copies the archives of `set` into `target`, past the page cache, as that is faster, and returns the seconds of clock and of CPU
 * that this took.
 * @param readBack read what was written, and its CRC-32
 */
export async function plainRestore(set, target, { readBack }) {
  const names = (await readdir(set)).filter((name) => name.endsWith('.tar.gz')).sort()
  const begun = process.cpuUsage()
  const start = performance.now()
  const hasher = new Hasher(2 * JOBS)
  const todo = names.entries()
  const work = async (job) => {
    for (const [id, name] of todo) {
      const crc = await copy(join(set, name), join(target, name), { hasher, id, job })
      if (readBack && (await crcOf(join(target, name), hasher.pieces[2 * job])) !== crc) {
        throw new Error(`${name}: read back as something else`)
      }
    }
  }
  await Promise.all(Array.from({ length: JOBS }, (_, job) => work(job)))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(begun)
  await hasher.close()
  return { seconds, cpu: (user + system) / 1e6 }
}

/** Each of two pieces of memory is filled while the other one is hashed and written. Returns the CRC-32. */
async function copy(from, to, { hasher, id, job }) {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_DIRECT } = constants
  const source = await open(from)
  const file = await open(to, O_WRONLY | O_CREAT | O_TRUNC)
  const direct = await open(to, O_WRONLY | O_DIRECT)
  let crc = 0
  let before
  for (let at = 0, turn = 0; ; turn ^= 1) {
    const piece = 2 * job + turn
    const bytes = hasher.pieces[piece]
    const { bytesRead: length } = await source.read(bytes, 0, PIECE_SIZE, at)
    await before
    if (length === 0) break
    const into = length % PAGE === 0 ? direct : file
    before = Promise.all([hasher.update(id, piece, length), into.write(bytes, 0, length, at)])
    crc = crc32(bytes.subarray(0, length), crc)
    at += length
  }
  await Promise.all([hasher.digest(id), file.sync()])
  for (const handle of [source, file, direct]) await handle.close()
  return crc
}

async function crcOf(path, bytes) {
  const file = await open(path)
  let crc = 0
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(bytes, 0, PIECE_SIZE, at)
    if (bytesRead === 0) break
    crc = crc32(bytes.subarray(0, bytesRead), crc)
    at += bytesRead
  }
  await file.close()
  return crc
}

/** The thread that hashes. It answers in the order in which it is asked. */
class Hasher {
  #waiting = []
  #worker

  constructor(pieces) {
    // Such memory begins with a page, which direct writes want, and can be shared.
    const pages = PIECE_SIZE / (64 * 1024)
    const memories = Array.from(
      { length: pieces },
      () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer,
    )
    this.pieces = memories.map((memory) => new Uint8Array(memory))
    this.#worker = new Worker(HASHER, { eval: true, workerData: memories })
    this.#worker.on('message', () => this.#waiting.shift().resolve())
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    })
  }

  update(id, piece, length) {
    return this.#ask({ id, piece, length })
  }

  digest(id) {
    return this.#ask({ id })
  }

  close() {
    return this.#worker.terminate()
  }

  #ask(message) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(message)
    })
  }
}
