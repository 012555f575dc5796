import { recode, SnapError } from '../errors.ts'

/** Decodes an answer; errors name the server. */
export function decodeFrom<T>(
  name: string,
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T,
): T {
  try {
    return decode(bytes)
  } catch (error) {
    throw error instanceof SnapError ? recode(error, error.code, `${name}: `) : error
  }
}

/** The protocol has no errors: a server that cannot answer says nothing and writes into its log. */
export function emptyAnswer(name: string, what: string, hint: string): SnapError {
  return new SnapError('E_SOURCE', `${name}: empty answer to the request for ${what}`, { hint })
}

/** An empty answer to a shard request can pass: a running snapshot, or files left over from a failed one. */
export function emptyShard(name: string, shardId: bigint | number): SnapError {
  return new SnapError('E_SOURCE', `${name}: empty answer to the request for shard ${shardId}`, {
    hint:
      'the shard is gone (dropped, or past its retention), a snapshot of it is running, or the server failed: ' +
      'look at its log',
    retryable: true,
  })
}

/** An answer that goes on past any sensible size. */
export function longAnswer(name: string, limit: number): SnapError {
  return new SnapError('E_PROTOCOL', `${name}: answer of more than ${limit} bytes`)
}
