/** Every error code of the product with the exit code a command ends with. Codes are only ever added. */
export const EXIT_CODES = {
  /** Something failed that has no code of its own. */
  E_FAILED: 1,
  /** Unknown command or flag, a missing argument, flags that do not go together. */
  E_USAGE: 2,
  /** Finished, but something was skipped on request, or lost and said. */
  E_INCOMPLETE: 3,
  /** No backup at this place. */
  E_NO_BACKUP: 10,
  /** Another run holds the lock. */
  E_LOCKED: 11,
  /** The key is missing or the wrong one. */
  E_KEY: 12,
  /** Stored data is not what was stored: a hash, a CRC, a size or a listing disagrees. */
  E_INTEGRITY: 13,
  /** Bytes that do not decode as the format they should be. Stored data unless a caller says otherwise. */
  E_FORMAT: 13,
  /** The source cannot be reached, refused, or has not what was asked of it. */
  E_SOURCE: 14,
  /** The source's data arrived damaged or incomplete. */
  E_SOURCE_DAMAGED: 14,
  /** The peer does not speak the snapshotter protocol as it should. */
  E_PROTOCOL: 14,
  /** No connection could be made. */
  E_CONNECT: 14,
  /** A wait passed its deadline. */
  E_TIMEOUT: 14,
  /** A stream ended before its end. */
  E_CUT: 14,
  /** The destination cannot be reached, is full, or refused. */
  E_DESTINATION: 15,
  /** Nothing matched the selection. */
  E_NOTHING_MATCHED: 16,
  /** The target is there already. */
  E_TARGET_EXISTS: 17,
  /** The target belongs to another server or holds another kind of set. */
  E_TARGET_FOREIGN: 17,
  /** Prune refused to delete anything. */
  E_PRUNE_REFUSED: 18,
  /** Differences were found. */
  E_DIFFERENT: 20,
  /** Data is at risk of being dropped before it is backed up. */
  E_AT_RISK: 21,
  /** SIGINT. */
  E_INTERRUPTED: 130,
  /** SIGTERM. */
  E_TERMINATED: 143,
} as const satisfies Readonly<Record<string, number>>

/** The closed list of error codes. */
export type ErrorCode = keyof typeof EXIT_CODES

/** What goes with a {@link SnapError} besides its message. */
export interface SnapErrorOptions {
  /** What to do next, one sentence for the operator. */
  readonly hint?: string | undefined
  /** True if the same call may succeed when tried again. Default false. */
  readonly retryable?: boolean | undefined
  readonly cause?: unknown
}

/** The one error the product throws: a stable code, where and what in the message, and what to do next. */
export class SnapError extends Error {
  override readonly name = 'SnapError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly retryable: boolean

  /** @param message lower case: what failed, where (file, shard, offset, host), expected and got */
  constructor(code: ErrorCode, message: string, options: SnapErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.retryable = options.retryable ?? false
  }

  /** The exit code of a command that ends with this error. */
  get exitCode(): number {
    return EXIT_CODES[this.code]
  }
}

/** What Node adds to a failed call on a file: its name and the path, which our messages begin with. */
const CALL = /^(E[A-Z0-9]+: .*?), [a-z]+(?: '.*)?$/s

/** Returns the text of anything thrown, of a failed call on a file without the path. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(CALL, '$1') : String(error)
}

/** Returns the errno name (`ENOENT`, `ECONNREFUSED`) of a thrown system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' && !error.code.startsWith('E_') ? error.code : undefined
}

/** Returns `error` as a {@link SnapError}; one that is none already gets `code` and a message that begins with `what`. */
export function asSnapError(error: unknown, code: ErrorCode, what: string): SnapError {
  if (error instanceof SnapError) return error
  return new SnapError(code, `${what}: ${messageOf(error)}`, { cause: error })
}

/**
 * Returns `error` with another code, keeping message, hint and cause. Layers below do not know which side of a run
 * they serve: a damaged archive is `E_INTEGRITY` in a set and `E_SOURCE_DAMAGED` on the wire.
 */
export function recode(error: SnapError, code: ErrorCode, prefix = ''): SnapError {
  const { hint, retryable } = error
  return new SnapError(code, prefix + error.message, { hint, retryable, cause: error })
}
