import type { RandomAccess, SharedPlace } from '../io/random-access.ts'
import { threadOnDemand } from '../io/thread.ts'
import { type CheckedTsm, type CheckWish, checkHere } from './sum-files.ts'

/** What the thread is asked: to check the file that is in a place. */
export interface CheckQuestion extends Pick<RandomAccess, 'name' | 'size'> {
  readonly place: SharedPlace
  readonly wish: CheckWish
}

/** How a file is checked. */
export interface CheckTsmOptions extends CheckWish {
  readonly signal?: AbortSignal | undefined
}

/**
 * As much is checked here first, bytes. A thread costs a tenth of a second of CPU until it is as fast as this one, which has to
 * wait for it meanwhile where there is one file: that of a night, say.
 */
const HERE_SIZE = 48 * 1024 * 1024

/** Its program is beside this module, and in the bundle; sources that are run as they are have none. */
const openThread = threadOnDemand<CheckQuestion, CheckedTsm>(
  'the thread that checks TSM files',
  new URL('./check-program.js', import.meta.url),
)

/** Bytes that were to be checked until now, and that are likely to be in all. */
let asked = 0
let expected = 0

/** Says that about `size` bytes come: the thread starts meanwhile if that is much, and checks the first of them too. */
export function expectTsm(size: number): void {
  expected = Math.max(expected, size)
  if (isMuch()) openThread()
}

function isMuch(): boolean {
  return Math.max(asked, expected) > HERE_SIZE
}

/**
 * Checks a TSM file as {@link checkHere} does: on a thread, one for all of them, if that can read the file and would help. The
 * file may be closed as soon as this ends, by the signal too: what the thread then still reads of it counts for nothing.
 * @throws SnapError as {@link checkHere}; `E_FAILED` if the thread has died
 */
export async function checkTsm(
  source: RandomAccess,
  { signal, ...wish }: CheckTsmOptions,
): Promise<CheckedTsm> {
  const { place, name, size } = source
  asked += size
  const thread = place && isMuch() ? openThread() : undefined
  if (!(place && thread)) return await checkHere(source, wish)
  return await thread.ask({ place, name, size, wish }, signal)
}
