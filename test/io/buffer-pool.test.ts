import { expect, it } from 'vitest'
import { BufferPool } from '../../src/io/buffer-pool.ts'

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
