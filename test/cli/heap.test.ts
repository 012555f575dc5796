import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../helpers/sources.ts'

const HEAP = pathToFileURL(`${ROOT}/dist/cli/heap.js`).href

/** Holds 40 MB, throws far more away, and says how large the heap became. */
const work = (before: string) => `
${before}
const { setTimeout: sleep } = await import('node:timers/promises')
const { getHeapStatistics } = await import('node:v8')
const objects = (count) => Array.from({ length: 100 * count }, () => ({ a: {}, b: {} }))
const held = Array.from({ length: 8000 }, () => Array.from({ length: 100 }, (_, i) => ({ i })))
await sleep(120)
let largest = 0
for (let i = 0; i < 120; i += 1) {
  held[i] = objects(400)[0]
  if (i % 20 === 0) await sleep(1)
  if (i > 30) largest = Math.max(largest, getHeapStatistics().total_heap_size)
}
console.log(held.length && largest / 1e6)`

/** Starts a thread, lets many objects survive for a moment, and says how large the young generation became. */
const young = (before: string) => `
${before}
const { once } = await import('node:events')
const { setTimeout: sleep } = await import('node:timers/promises')
const { getHeapSpaceStatistics } = await import('node:v8')
const { Worker } = await import('node:worker_threads')
await once(new Worker('', { eval: true }), 'exit')
let held = []
for (let i = 0; i < 200; i += 1) {
  held = [held, Array.from({ length: 20_000 }, () => ({ i }))].slice(i % 2)
  if (i % 20 === 0) await sleep(1)
}
const { space_size } = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')
console.log(held.length && space_size / 1e6)`

async function numberOf(program: string): Promise<number> {
  const words = ['--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return Number(stdout)
}

const WATCH = `const { watchHeap } = await import('${HEAP}'); watchHeap()`

describe('watchHeap', () => {
  it('keeps a large heap below twice what is in use, and lets the process end', async () => {
    const [watched, free] = [await numberOf(work(WATCH)), await numberOf(work(''))]
    expect(watched).toBeGreaterThan(40)
    expect(watched).toBeLessThan(128)
    expect(free).toBeGreaterThan(1.2 * watched)
  }, 120_000)

  it('keeps the young generation small after a thread was started', async () => {
    const [watched, free] = [await numberOf(young(WATCH)), await numberOf(young(''))]
    expect(watched).toBeLessThan(6)
    expect(free).toBeGreaterThan(2 * watched)
  }, 60_000)
})

/** Calls a function so often, and returns whether V8 has found it worth optimizing meanwhile. */
async function isOptimized(calls: number, before = ''): Promise<boolean> {
  const work = `
    ${before}
    const busy = (n) => { let sum = 0; for (let i = 0; i < 100; i++) sum += n ^ i; return sum }
    for (let i = 0; i < ${calls}; i++) busy(i)`
  const words = ['--trace-opt', '--input-type=module', '-e', work]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return /marking .*<JSFunction busy/.test(stdout)
}

describe('setHeapFlags', () => {
  it('has functions optimized that do a lot of work, and not those that do a little', async () => {
    const set = `const { setHeapFlags } = await import('${HEAP}'); setHeapFlags()`
    expect(await isOptimized(50)).toBe(true)
    expect(await isOptimized(50, set)).toBe(false)
    expect(await isOptimized(40_000, set)).toBe(true)
  }, 60_000)
})
