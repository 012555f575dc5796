import { describe, expect, it } from 'vitest'
import { Budget } from '../../src/io/budget.ts'

describe('Budget', () => {
  it('gives no more than it has, and takes all of it back', async () => {
    const budget = new Budget(10)
    await budget.spend(async (take) => {
      expect([take(6), take(5), take(4), take(1)]).toEqual([true, false, true, false])
      await budget.spend(async (other) => expect(other(1)).toBe(false))
    })
    await budget.spend(async (take) => expect(take(10)).toBe(true))
  })

  it('takes it back from work that fails, and gives that nothing afterwards', async () => {
    const budget = new Budget(10)
    let late: ((amount: number) => boolean) | undefined
    const failing = budget.spend(async (take) => {
      late = take
      take(10)
      throw new Error('work')
    })
    await expect(failing).rejects.toThrow('work')
    expect(late?.(1)).toBe(false)
    await budget.spend(async (take) => expect(take(budget.whole)).toBe(true))
  })
})
