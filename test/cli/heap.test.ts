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

async function largestHeap(before: string): Promise<number> {
  const words = ['--input-type=module', '-e', work(before)]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return Number(stdout)
}

describe('watchHeap', () => {
  it('keeps a large heap below twice what is in use, and lets the process end', async () => {
    const watch = `const { watchHeap } = await import('${HEAP}'); watchHeap()`
    const [watched, free] = [await largestHeap(watch), await largestHeap('')]
    expect(watched).toBeGreaterThan(40)
    expect(watched).toBeLessThan(128)
    expect(free).toBeGreaterThan(1.2 * watched)
  }, 120_000)
})
