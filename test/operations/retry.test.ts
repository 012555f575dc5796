import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { withRetries } from '../../src/operations/retry.ts'

const cut = new SnapError('E_CUT', 'cut', { retryable: true })

describe('withRetries', () => {
  it('tries again after a retryable error and tells how long it waits', async () => {
    const told: [number, number][] = []
    const onRetry = (_: SnapError, attempt: number, wait: number) => told.push([attempt, wait])
    const run = async (attempt: number) => {
      if (attempt < 2) throw cut
      return attempt
    }
    expect(await withRetries(run, { attempts: 4, onRetry })).toBe(2)
    expect(told).toEqual([[1, 500]])
  })

  it('gives up at once when trying again cannot help', async () => {
    let runs = 0
    const run = async () => {
      runs++
      throw new SnapError('E_CONNECT', 'refused')
    }
    await expect(withRetries(run, { attempts: 4 })).rejects.toThrow('refused')
    expect(runs).toBe(1)
  })

  it('gives up after the last attempt', async () => {
    let runs = 0
    const run = async () => {
      runs++
      throw cut
    }
    await expect(withRetries(run, { attempts: 1 })).rejects.toBe(cut)
    expect(runs).toBe(1)
  })

  it('stops waiting when aborted', async () => {
    const stop = new AbortController()
    const run = async () => {
      setTimeout(() => stop.abort(), 10)
      throw cut
    }
    await expect(withRetries(run, { attempts: 4, signal: stop.signal })).rejects.toThrow()
  })
})
