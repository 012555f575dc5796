import { SnapError } from '../errors.ts'

/** Between two equal answers somebody may have changed what is asked about, but not for ever. */
const MAX_READS = 6

/** A question whose answer has no check sum. */
export interface Question<T> {
  /** Names server and answer in messages. */
  readonly what: string
  readonly ask: () => Promise<T>
  /** Everything of the answer that counts. */
  readonly bytesOf: (answer: T) => Uint8Array
}

/**
 * Asks until two answers in a row are the same, byte for byte, and returns them: metastore and lists of shards come without
 * a check sum, and a bit that turned over on the way would be a shard left out, or a policy that deletes too early.
 * @throws SnapError `E_SOURCE_DAMAGED` if no two are the same, and what `ask` throws
 */
export async function readTwice<T>({ what, ask, bytesOf }: Question<T>): Promise<T> {
  let last = await ask()
  for (let reads = 1; reads < MAX_READS; reads++) {
    const answer = await ask()
    if (Buffer.compare(bytesOf(answer), bytesOf(last)) === 0) return answer
    last = answer
  }
  throw new SnapError('E_SOURCE_DAMAGED', `${what} came differently ${MAX_READS} times in a row`, {
    hint: 'the connection damages what goes over it, or the server changes all the time: run it again',
  })
}
