import { SnapError } from '../errors.ts'

/** A place in a bucket. */
export interface S3Location {
  readonly bucket: string
  /** What every key begins with, a slash at its end; empty for the whole bucket. */
  readonly prefix: string
}

const LOCATION = /^s3:\/\/([^/]*)(?:\/(.*))?$/is
/** As AWS has it, and the capitals and underscores of older stores. */
const BUCKET = /^[a-z0-9][\w.-]{1,61}[a-z0-9]$/i
/** The longest key that S3 takes is 1,024 bytes; the longest name of an object of ours has 255 of them. */
const MAX_PREFIX = 700

/**
 * Parses `s3://bucket/prefix`.
 * @throws SnapError `E_USAGE`
 */
export function parseS3Location(location: string): S3Location {
  const [, bucket = '', path = ''] = LOCATION.exec(location) ?? []
  if (bucket.includes('@')) {
    throw new SnapError('E_USAGE', 's3://...@...: keys are not taken from a URL', {
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; write s3://bucket/prefix',
    })
  }
  if (!BUCKET.test(bucket)) {
    const rule = '3 to 63 letters, digits, dots and hyphens'
    throw refused(location, `${JSON.stringify(bucket)} is no name of a bucket (${rule})`)
  }
  const trimmed = path.replace(/\/$/, '')
  if (trimmed === '') return { bucket, prefix: '' }
  // Clients and proxies take such segments out of a URL, each in its own way.
  if (trimmed.split('/').some((segment) => ['', '.', '..'].includes(segment))) {
    throw refused(location, 'its prefix has a segment that is empty, . or ..')
  }
  if (/\p{Cc}/u.test(trimmed)) throw refused(location, 'its prefix has control characters')
  const size = Buffer.byteLength(trimmed)
  if (size > MAX_PREFIX) {
    throw refused(`s3://${bucket}`, `a prefix of ${size} bytes, expected at most ${MAX_PREFIX}`)
  }
  return { bucket, prefix: `${trimmed}/` }
}

function refused(location: string, why: string): SnapError {
  return new SnapError('E_USAGE', `${location}: ${why}`, { hint: 'write s3://bucket/prefix' })
}
