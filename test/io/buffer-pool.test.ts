import { expect, it } from 'vitest'
import { BufferPool, sharedPool } from '../../src/io/buffer-pool.ts'

it('gives a buffer again that it got back, whole', () => {
  const pool = new BufferPool(10, 1)
  const first = pool.take()
  expect(first).toHaveLength(10)
  const second = pool.take()
  expect(second.buffer).not.toBe(first.buffer)
  pool.give(first.subarray(2, 5))
  pool.give(second)
  const again = pool.take()
  expect(again.buffer).toBe(first.buffer)
  expect(again).toHaveLength(10)
  expect(pool.take().buffer).not.toBe(second.buffer)
})

it('makes its buffers as it is told', () => {
  const pool = new BufferPool(10, 1, (size) => Buffer.from(new SharedArrayBuffer(size)))
  const first = pool.take()
  pool.give(first)
  expect(pool.take().buffer).toBe(first.buffer)
  expect(first.buffer).toBeInstanceOf(SharedArrayBuffer)
})

it('keeps all of it that threads share', () => {
  const pool = sharedPool(10)
  const taken = Array.from({ length: 100 }, () => pool.take())
  expect(taken[0]?.buffer).toBeInstanceOf(SharedArrayBuffer)
  for (const one of taken) pool.give(one)
  const again = taken.map(() => pool.take().buffer)
  expect(new Set(again)).toEqual(new Set(taken.map(({ buffer }) => buffer)))
})
