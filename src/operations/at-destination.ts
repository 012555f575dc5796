import { EXIT_CODES, recode, SnapError } from '../errors.ts'

/** Reads the metastore of a destination: one that is damaged is no fault of the backup. */
export async function targetMetastore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await atDestination(work)
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_FORMAT) throw error
    throw new SnapError('E_DESTINATION', `the metastore of the destination: ${error.message}`, {
      cause: error,
      hint: 'it is damaged: put back a copy of meta.db, or restore into other directories',
    })
  }
}

/** Runs work on the far side of a run and gives its failures the code of a destination. */
export async function atDestination<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_SOURCE) throw error
    throw recode(error, 'E_DESTINATION')
  }
}
