import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { mapParallel, Turns } from '../../src/operations/parallel.ts'

describe('mapParallel', () => {
  it('keeps the order and never runs more than its jobs', async () => {
    let running = 0
    let most = 0
    const results = await mapParallel([30, 5, 20, 1], { jobs: 2 }, async (ms) => {
      most = Math.max(most, ++running)
      await sleep(ms)
      running--
      return ms
    })
    expect(results).toEqual([30, 5, 20, 1])
    expect(most).toBe(2)
  })

  it('aborts the others, waits for them and throws the first failure', async () => {
    const ended: string[] = []
    const run = async (name: string, signal: AbortSignal) => {
      if (name === 'bad') throw new Error('first')
      try {
        await sleep(10_000, undefined, { signal })
      } finally {
        ended.push(name)
      }
    }
    await expect(mapParallel(['slow', 'bad', 'never'], { jobs: 2 }, run)).rejects.toThrow('first')
    expect(ended).toEqual(['slow'])
  })

  it.each([0, Number.NaN])('refuses %s jobs', async (jobs) => {
    await expect(mapParallel([1], { jobs }, async () => 1)).rejects.toThrow('expected at least 1')
  })

  it('throws the reason of an abort from outside', async () => {
    const signal = AbortSignal.abort(new Error('stop'))
    await expect(mapParallel([1], { jobs: 1, signal }, async () => 1)).rejects.toThrow('stop')
  })
})

describe('Turns', () => {
  it('gives a turn when another one ends, in order, however often that is said', async () => {
    const turns = new Turns(2)
    const taken: number[] = []
    const take = async (n: number) => {
      const end = await turns.take()
      taken.push(n)
      return end
    }
    const [first, , third, fourth] = [take(1), take(2), take(3), take(4)]
    const end = await first
    await sleep(1)
    expect(taken).toEqual([1, 2])
    end()
    end()
    await third
    await sleep(1)
    expect(taken).toEqual([1, 2, 3])
    ;(await third)()
    ;(await fourth)()
    ;(await take(5))()
    expect(taken).toEqual([1, 2, 3, 4, 5])
  })
})
