import { describe, expect, it } from 'vitest'
import { withDeadline } from '../../src/io/deadline.ts'

const never = new Promise<never>(() => {})

describe('withDeadline', () => {
  it('gives what came in time, or its error', async () => {
    const late = () => new Error('late')
    expect(await withDeadline(Promise.resolve(5), 1000, late)).toBe(5)
    await expect(withDeadline(Promise.reject(new Error('own')), 1000, late)).rejects.toThrow('own')
  })

  it('fails when it did not come in time', async () => {
    await expect(withDeadline(never, 5, () => new Error('late'))).rejects.toThrow('late')
  })

  it('waits without a timer if the deadline is too far away for one', async () => {
    const slow = new Promise((resolve) => setTimeout(() => resolve('came'), 20))
    expect(await withDeadline(slow, Number.POSITIVE_INFINITY, () => new Error('late'))).toBe('came')
  })
})
