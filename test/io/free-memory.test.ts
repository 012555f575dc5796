import { describe, expect, it } from 'vitest'
import { freeMemory } from '../../src/io/free-memory.ts'

const SIZE = 2 ** 20

describe('freeMemory', () => {
  it('empties all that looks at the memory', () => {
    const bytes = Buffer.allocUnsafeSlow(SIZE)
    const part = bytes.subarray(10, 20)
    freeMemory(part)
    expect([bytes.length, part.length, bytes.buffer.byteLength]).toEqual([0, 0, 0])
    // once more is nothing
    freeMemory(part)
  })

  it('frees at once, not when the heap is collected', () => {
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 256; i++) {
      freeMemory(Buffer.allocUnsafeSlow(SIZE))
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * SIZE)
    }
  })

  it('leaves memory alone that threads share', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(8))
    freeMemory(shared)
    expect(shared).toHaveLength(8)
  })
})
