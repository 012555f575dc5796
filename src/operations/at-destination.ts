import { EXIT_CODES, recode, SnapError } from '../errors.ts'

/** Runs work on the far side of a run and gives its failures the code of a destination. */
export async function atDestination<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    throw recode(error, 'E_DESTINATION')
  }
}
