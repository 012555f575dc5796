import { SnapError } from '../../src/errors.ts'

/** Returns the SnapError that `run` throws; anything else fails the test. */
export function thrown(run: () => unknown): SnapError {
  try {
    run()
  } catch (error) {
    if (error instanceof SnapError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** Returns the SnapError that `promise` is rejected with; anything else fails the test. */
export async function rejected(promise: Promise<unknown>): Promise<SnapError> {
  const results = await Promise.allSettled([promise])
  return thrown(() => {
    for (const result of results) if (result.status === 'rejected') throw result.reason
  })
}

/** Returns the value of `run`, or undefined if it throws a SnapError; anything else fails the test. */
export function valueOrSnapError<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof SnapError) return undefined
    throw error
  }
}
