import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { Sha256, sha256OfShared } from '../../src/io/hash-worker.ts'

const MIB = 1024 * 1024
const BYTES = randomBytes(3 * MIB)

function expected(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

/** Hashes pieces that are gone as soon as they were taken. */
async function hashOf(pieces: readonly Uint8Array[], expected?: number): Promise<string> {
  const hash = new Sha256(expected)
  for (const piece of pieces) {
    const bytes = Buffer.from(piece)
    await hash.update(bytes)
    bytes.fill(0)
  }
  return await hash.digest()
}

const PIECES = fc.array(
  fc
    .tuple(fc.nat(BYTES.length), fc.oneof(fc.nat(1000), fc.nat(BYTES.length)))
    .map(([start, size]) => BYTES.subarray(start, start + size)),
  { maxLength: 6 },
)

test.prop([fc.array(PIECES, { minLength: 1, maxLength: 5 })], { numRuns: 30 })(
  'is the hash of all that came, of several at the same time',
  async (streams) => {
    const digests = await Promise.all(streams.map((pieces) => hashOf(pieces)))
    expect(digests).toEqual(streams.map(expected))
  },
)

test.prop([PIECES, fc.nat(64 * MIB)], { numRuns: 30 })(
  'is the hash of all that came, however much was expected',
  async (pieces, size) => {
    expect(await hashOf(pieces, size)).toBe(expected(pieces))
  },
)

test.prop(
  [
    fc.array(fc.integer({ min: 1, max: MIB }), { maxLength: 5 }),
    fc.nat(8),
    fc.constantFrom(1000, 65_535, MIB),
    fc.constantFrom(undefined, MIB),
  ],
  { numRuns: 30 },
)(
  'takes the CRC of what is in between the gaps of each block',
  async (sizes, gap, pieceSize, size) => {
    const hash = new Sha256(size)
    await hash.update(Buffer.from('a header'))
    for (const length of sizes) {
      const block = Buffer.from(BYTES.subarray(length, length + length))
      await hash.update(block, { gap, pieceSize })
      block.fill(0)
    }
    const contents = sizes.map((length) =>
      withoutGaps(BYTES.subarray(length, 2 * length), gap, pieceSize),
    )
    expect(await hash.crcs()).toEqual(contents.map((content) => crc32(content)))
    await hash.update(Buffer.from('an end'))
    const pieces = sizes.map((length) => BYTES.subarray(length, 2 * length))
    expect(await hash.digest()).toBe(
      expected([Buffer.from('a header'), ...pieces, Buffer.from('an end')]),
    )
  },
)

function withoutGaps(bytes: Uint8Array, gap: number, pieceSize: number): Buffer {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += gap + pieceSize) {
    pieces.push(bytes.subarray(at + gap, at + gap + pieceSize))
  }
  return Buffer.concat(pieces)
}

it.each([0, 1, MIB - 1, MIB, MIB + 1, 8 * MIB])('hashes %i bytes', async (size) => {
  const bytes = Buffer.alloc(size, 'some bytes')
  expect(await hashOf([bytes])).toBe(expected([bytes]))
})

it('hashes more at the same time than its memory holds', async () => {
  const streams = Array.from({ length: 40 }, (_, i) => [BYTES.subarray(i), BYTES.subarray(2 * i)])
  expect(await Promise.all(streams.map((pieces) => hashOf(pieces)))).toEqual(streams.map(expected))
})

it('hashes memory that it shares as it is, beside what comes bit by bit', async () => {
  const memory = new Uint8Array(new SharedArrayBuffer(3 * MIB))
  memory.set(BYTES)
  const [first, all, none, stream] = await Promise.all([
    ...[memory.subarray(7, MIB), memory, memory.subarray(0, 0)].map(sha256OfShared),
    hashOf([BYTES]),
  ])
  expect(first).toBe(expected([BYTES.subarray(7, MIB)]))
  expect([all, stream]).toEqual([expected([BYTES]), expected([BYTES])])
  expect(none).toBe(expected([]))
})

it('keeps no process alive, and ends none that waits for it', async () => {
  const program = `
    const { Sha256 } = await import('./dist/io/hash-worker.js')
    const left = new Sha256()
    await left.update(new Uint8Array(2 * 1024 * 1024))
    const hash = new Sha256()
    await hash.update(new Uint8Array(2 * 1024 * 1024))
    console.log(await hash.digest())`
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['--input-type=module', '--eval', program],
  ])
  expect(stdout.trim()).toBe(expected([new Uint8Array(2 * MIB)]))
})

it('says that its thread has died, and starts another one', async () => {
  const { postMessage } = Worker.prototype
  let thread: Worker | undefined
  Worker.prototype.postMessage = function (...args) {
    thread = this
    postMessage.apply(this, args)
  }
  const bytes = new Uint8Array(2 * MIB)
  try {
    const hash = new Sha256()
    await hash.update(bytes)
    // Nothing is answered by who has died.
    const digest = async () => {
      for (;;) await hash.update(bytes)
    }
    await Promise.all([
      expect(digest()).rejects.toMatchObject({ code: 'E_FAILED' }),
      thread?.terminate(),
    ])
    await expect(hash.update(bytes)).rejects.toMatchObject({ code: 'E_FAILED' })
    await expect(hash.digest()).rejects.toMatchObject({ code: 'E_FAILED' })
    await expect(hash.crcs()).rejects.toMatchObject({ code: 'E_FAILED' })
  } finally {
    Worker.prototype.postMessage = postMessage
  }
  expect(await hashOf([bytes])).toBe(expected([bytes]))
})
