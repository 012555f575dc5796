import { type ErrorCode, SnapError } from '../errors.ts'

/** What is done with an object: a store that is read is a source, one that is written to a destination. */
export type S3Side = 'read' | 'write'

const CODES: Readonly<Record<S3Side, ErrorCode>> = { read: 'E_SOURCE', write: 'E_DESTINATION' }

interface Meaning {
  readonly text: string
  readonly hint: string
}

const ACCESS = 'docs/s3.md lists what a key must be allowed to do'
const KEYS =
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to a key of this store'
const REACH = 'check --s3-endpoint (or AWS_ENDPOINT_URL), and that the store is up'
const BUSY = 'try again later, or with fewer --jobs'
const REGION = 'set AWS_REGION to the region of the bucket'

const denied: Meaning = { text: 'access denied', hint: ACCESS }
const noCredentials: Meaning = { text: 'no credentials were found', hint: KEYS }
const busy: Meaning = { text: 'the store is too busy', hint: BUSY }
const silent: Meaning = { text: 'no answer in time', hint: `${REACH}; --s3-timeout sets the limit` }
const lost: Meaning = { text: 'the connection was lost', hint: REACH }
const noStore: Meaning = { text: 'what answers there is no S3 store', hint: REACH }
const wrongRegion: Meaning = { text: 'the bucket is in another region', hint: REGION }

/** What the codes of S3, of the SDK and of the system mean. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: {
    text: 'there is no such bucket',
    hint: 'make the bucket first, or check its name and --s3-endpoint',
  },
  AccessDenied: denied,
  AllAccessDisabled: denied,
  InvalidAccessKeyId: { text: 'the store does not know this access key', hint: KEYS },
  SignatureDoesNotMatch: { text: 'the secret key is not that of the access key', hint: KEYS },
  CredentialsProviderError: noCredentials,
  ExpiredToken: { text: 'the session has ended', hint: 'renew AWS_SESSION_TOKEN and its keys' },
  InvalidToken: { text: 'the session token is not valid', hint: 'check AWS_SESSION_TOKEN' },
  RequestTimeTooSkewed: {
    text: 'the clock of this machine is too far from that of the store',
    hint: 'set the clock',
  },
  SlowDown: busy,
  ServiceUnavailable: busy,
  AuthorizationHeaderMalformed: wrongRegion,
  PermanentRedirect: wrongRegion,
  QuotaExceeded: {
    text: 'the quota is used up',
    hint: 'free some space there, or raise the quota',
  },
  TimeoutError: silent,
  ETIMEDOUT: silent,
  ECONNREFUSED: { text: 'the connection was refused', hint: REACH },
  ENOTFOUND: { text: 'the host is not known', hint: REACH },
  EAI_AGAIN: { text: 'the host cannot be looked up', hint: REACH },
  EPROTO: { text: 'TLS failed: it may be no https:// there', hint: REACH },
  ECONNRESET: lost,
  EPIPE: lost,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted(),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted(),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted(),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted(),
}

function untrusted(): Meaning {
  return {
    text: 'its certificate is not trusted',
    hint: 'name the authority of the store with NODE_EXTRA_CA_CERTS=FILE',
  }
}

/** Failures of a moment. Refused connections and unknown hosts are none. */
const TRANSIENT = new Set([
  'TimeoutError',
  'ETIMEDOUT',
  'ECONNRESET',
  'EPIPE',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'Throttling',
  'OperationAborted',
  'ConditionalRequestConflict',
])

const NOT_IMPLEMENTED = 501
const MAX_TEXT = 200

function field(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined
}

/** The HTTP status that a failed request was answered with. */
export function statusOf(error: unknown): number | undefined {
  const status = field(field(error, '$metadata'), 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** The code of a failed request: `NoSuchKey`, `ECONNRESET`; also of the {@link s3Error} made from it. */
export function s3CodeOf(error: unknown): string {
  if (error instanceof SnapError) return s3CodeOf(error.cause)
  for (const name of ['Code', 'code', 'name']) {
    const code = field(error, name)
    if (typeof code === 'string' && code !== 'Error' && code !== 'Unknown') return code
  }
  return statusOf(error) === 403 ? 'AccessDenied' : ''
}

/** True if the same request may be answered when it is sent again. */
export function isTransient(error: unknown): boolean {
  const status = statusOf(error) ?? 0
  if (TRANSIENT.has(s3CodeOf(error))) return true
  return status === 429 || (status >= 500 && status !== NOT_IMPLEMENTED)
}

/** True if what was asked for is not there: an object, a version of it, an upload. */
export function isMissing(error: unknown): boolean {
  return ['NoSuchKey', 'NotFound', 'NoSuchVersion', 'NoSuchUpload'].includes(s3CodeOf(error))
}

/** True if the store answered that this key may not do that. */
export function isDenied(error: unknown): boolean {
  const cause = error instanceof SnapError ? error.cause : error
  return statusOf(cause) === 403 && s3CodeOf(cause) === 'AccessDenied'
}

/** True if the condition of a request did not hold: the name is taken. */
export function isTaken(error: unknown): boolean {
  return s3CodeOf(error) === 'PreconditionFailed'
}

/** Returns a failed request as an error that says where, what and what to do; it holds no key. */
export function s3Error(error: unknown, side: S3Side, where: string): SnapError {
  if (error instanceof SnapError) return error
  const code = s3CodeOf(error)
  const { text, hint } = MEANINGS[code] ?? (isForeign(error) ? noStore : unknownMeaning(error))
  const shown = [code, statusOf(error)].filter(Boolean).join(' ')
  const message = `${where}: ${text}${shown === '' ? '' : ` (${shown})`}`
  return new SnapError(CODES[side], message, { hint, cause: error })
}

/** True if the answer was none of HTTP, or not in XML: the SDK speaks of its insides then. */
function isForeign(error: unknown): boolean {
  const text = error instanceof Error ? error.message : ''
  return s3CodeOf(error).startsWith('HPE_') || text.includes('Deserialization error')
}

function unknownMeaning(error: unknown): Meaning {
  const text = error instanceof Error ? error.message : String(error)
  const isText = text !== '' && text !== 'UnknownError' && text !== 'Unknown'
  return { text: isText ? text.slice(0, MAX_TEXT) : 'the store refused', hint: REACH }
}
