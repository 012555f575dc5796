import { rm } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { fc, test } from '@fast-check/vitest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { type CheckedTsm, checkHere } from '../../src/tsm/sum-files.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
import { blockOf } from './arbitraries.ts'
import { tsmBytes } from './files.ts'

type Module<T> = Promise<T>
// Threads have a program where there is a build.
const built = (path: string) => import(pathToFileURL(`${ROOT}/dist/${path}`).href)
const { checkTsm } = await (built('tsm/check-tsm.js') as Module<
  typeof import('../../src/tsm/check-tsm.ts')
>)
const { spool } = await (built('io/spool.js') as Module<typeof import('../../src/io/spool.ts')>)

let directory = ''
let bytes: Buffer
beforeAll(async () => {
  directory = await tempDir('check-tsm')
  bytes = await someFile()
  await checkMuch()
})
afterAll(() => rm(directory, { recursive: true, force: true }))

/** A file of half a megabyte, so that it goes into memory that is shared. */
async function someFile(): Promise<Buffer> {
  const times = Array.from({ length: 1000 }, (_, i) => BigInt(i) * 1_000_003n)
  const keys = Array.from({ length: 120 }, (_, i) => `m${i % 7},t=${1000 + i}#!~#f`)
  return await tsmBytes(keys.sort().map((key, i) => [key, [blockOf('float', times, i)]] as const))
}

/** Little is checked without a thread: after this there is one. */
async function checkMuch(): Promise<void> {
  const { postMessage } = Worker.prototype
  let asked = 0
  Worker.prototype.postMessage = function (...args) {
    asked++
    postMessage.apply(this, args)
  }
  try {
    await checkIn(PLACES.memory, bytes, { points: false })
    expect(asked).toBe(0)
    while (asked === 0) await checkIn(PLACES.memory, bytes, { points: false })
  } finally {
    Worker.prototype.postMessage = postMessage
  }
}

async function* inPieces(whole: Uint8Array) {
  for (let at = 0; at < whole.length; at += 100_000) yield whole.subarray(at, at + 100_000)
}

/** Where files are while they are checked. */
const PLACES = { memory: 8 * 1024 * 1024, file: 0 }

async function checkIn(
  memoryLimit: number,
  whole: Uint8Array,
  { points, signal }: { readonly points: boolean; readonly signal?: AbortSignal },
): Promise<CheckedTsm> {
  const options = { name: 'x.tsm', tempDir: directory, memoryLimit, size: whole.length }
  const spooled = await spool(inPieces(whole), options)
  expect(spooled.place).toBeDefined()
  try {
    return await checkTsm(spooled, { points, signal })
  } finally {
    await spooled.close()
  }
}

/** What came of it: the result, or code and message of the error. */
async function outcome(work: Promise<CheckedTsm>) {
  return await work.catch(({ name, code, message }) => ({ name, code, message }))
}

describe.each(Object.entries(PLACES))('a file in %s', (_, memoryLimit) => {
  it.each([true, false])('is what it is without a thread, points looked at: %s', async (points) => {
    const expected = await checkHere(bytesAccess(bytes, 'x.tsm'), { points })
    expect(expected.totals?.all.points).toBe(points ? 120_000 : undefined)
    const found = await Promise.all([1, 2, 3].map(() => checkIn(memoryLimit, bytes, { points })))
    for (const one of found) expect(one).toEqual(expected)
  })

  test.prop([fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean()], { numRuns: 40 })(
    'fails with the words that it fails with without a thread',
    async (at, difference, isCut) => {
      const place = at % bytes.length
      const damaged = Buffer.from(isCut ? bytes.subarray(0, place) : bytes)
      if (damaged.length < 256 * 1024) return
      if (!isCut) damaged[place] = (damaged[place] ?? 0) ^ difference
      const expected = await outcome(checkHere(bytesAccess(damaged, 'x.tsm'), { points: true }))
      expect(await outcome(checkIn(memoryLimit, damaged, { points: true }))).toEqual(expected)
    },
  )
})

it('is said when the thread dies, and another one checks what comes after', async () => {
  const { postMessage } = Worker.prototype
  let thread: Worker | undefined
  Worker.prototype.postMessage = function (...args) {
    thread = this
    postMessage.apply(this, args)
    this.terminate()
  }
  const points = true
  try {
    const checked = Promise.all([1, 2].map(() => checkIn(PLACES.memory, bytes, { points })))
    await expect(checked).rejects.toMatchObject({
      code: 'E_FAILED',
      message: 'the thread that checks TSM files has ended',
    })
  } finally {
    Worker.prototype.postMessage = postMessage
  }
  await thread?.terminate()
  expect(await checkIn(PLACES.memory, bytes, { points })).toMatchObject({ blocks: 120 })
})

it('is not waited for when the run is stopped', async () => {
  const stop = new AbortController()
  const checked = checkIn(PLACES.file, bytes, { points: true, signal: stop.signal })
  stop.abort(new Error('stopped'))
  await expect(checked).rejects.toThrow('stopped')
  expect(await checkIn(PLACES.file, bytes, { points: false })).toMatchObject({ keys: 120 })
})
