import { describe, expect, it } from 'vitest'
import {
  freeRecycled,
  LARGE_RECYCLED_SIZE,
  RECYCLED_SIZE,
  recycle,
  takeBuffer,
} from '../../src/io/recycled.ts'

describe('recycled buffers', () => {
  it('come back once, whatever part of them is given back', () => {
    const first = takeBuffer()
    expect(first).toHaveLength(RECYCLED_SIZE)
    recycle(first.subarray(7, 9))
    recycle(first)
    const again = takeBuffer()
    expect(again.buffer).toBe(first.buffer)
    expect(takeBuffer().buffer).not.toBe(first.buffer)
  })

  it('are only those that were taken', () => {
    const foreign = new Uint8Array(RECYCLED_SIZE)
    recycle(foreign)
    expect(takeBuffer().buffer).not.toBe(foreign.buffer)
  })

  it('are freed, and no others', () => {
    const [taken, foreign] = [takeBuffer(), new Uint8Array(9)]
    freeRecycled(taken.subarray(1, 2))
    freeRecycled(foreign)
    expect([taken.length, foreign.length]).toEqual([0, 9])
    recycle(taken)
    expect(takeBuffer()).toHaveLength(RECYCLED_SIZE)
  })

  it.each([
    [RECYCLED_SIZE, 32],
    [LARGE_RECYCLED_SIZE, 16],
  ] as const)('of %d bytes are kept up to a limit', (size, most) => {
    const many = Array.from({ length: 40 }, () => takeBuffer(size))
    for (const buffer of many) recycle(buffer)
    const kept = new Set(many.map(({ buffer }) => buffer))
    const again = Array.from({ length: 40 }, () => takeBuffer(size))
    expect(again.map(({ length }) => length)).toEqual(again.map(() => size))
    expect(again.filter(({ buffer }) => kept.has(buffer))).toHaveLength(most)
  })
})
