import { describe, expect, it } from 'vitest'
import { createThrottle } from '../../src/operations/throttle.ts'

async function* chunks(count: number) {
  for (let i = 0; i < count; i++) yield new Uint8Array(1000)
}

async function sizeOf(body: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0
  for await (const chunk of body) size += chunk.length
  return size
}

describe('createThrottle', () => {
  it('passes everything, no faster than its rate over all streams', async () => {
    const throttle = createThrottle(40_000)
    const start = performance.now()
    const sizes = await Promise.all([sizeOf(throttle(chunks(3))), sizeOf(throttle(chunks(3)))])
    expect(sizes).toEqual([3000, 3000])
    expect(performance.now() - start).toBeGreaterThan(120)
  })

  it('passes large chunks in pieces of a quarter of a second', async () => {
    const sizes: number[] = []
    const body = async function* () {
      yield new Uint8Array(25_000)
    }
    for await (const piece of createThrottle(80_000)(body())) sizes.push(piece.length)
    expect(sizes).toEqual([20_000, 5_000])
  })

  it('is not there without a rate', () => {
    const body = chunks(1)
    expect(createThrottle(undefined)(body)).toBe(body)
  })

  it('stops waiting when aborted', async () => {
    const signal = AbortSignal.timeout(20)
    await expect(sizeOf(createThrottle(1)(chunks(2), signal))).rejects.toThrow()
  })
})
