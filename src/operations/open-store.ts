import { SnapError } from '../errors.ts'
import { LocalStore, S3Store, type Store } from '../storage/index.ts'

/** How a store is reached, besides where it is. */
export interface StoreOptions {
  /** URL of an S3-compatible store. Default AWS, or what its variables and profiles say. */
  readonly s3Endpoint?: string | undefined
  /** How long an object store may be silent within a request, ms. */
  readonly s3Timeout?: number | undefined
  /** Lock what is published there for so many days. */
  readonly objectLockDays?: number | undefined
}

const PLACES = 'name a directory or s3://bucket/prefix'
/** `s3:/bucket`, `s3:bucket`: meant as a URL, and a directory of that name would take the sets. */
const NEARLY_S3 = /^s3:(?!\/\/)/i
const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i

/** The scheme of a URL in lower case (`s3`); undefined for a path. */
export function schemeOf(location: string): string | undefined {
  return SCHEME.exec(location)?.[1]?.toLowerCase()
}

/**
 * Opens the store that a TARGET or SOURCE names.
 * @throws SnapError `E_USAGE` for a kind of place that this version does not know
 */
export function openStore(location: string, options: StoreOptions = {}): Store {
  if (location === '-') {
    throw new SnapError('E_USAGE', '-: a set is several files, it cannot go through a pipe', {
      hint: PLACES,
    })
  }
  if (NEARLY_S3.test(location)) {
    throw new SnapError('E_USAGE', `${location}: neither a directory nor s3://bucket/prefix`, {
      hint: `${PLACES}; a directory of that name is ./${location}`,
    })
  }
  const scheme = schemeOf(location)
  const { s3Endpoint: endpoint, s3Timeout: timeout, objectLockDays: lockDays } = options
  if (scheme === 's3') return new S3Store(location, { endpoint, timeout, lockDays })
  if (scheme !== undefined) {
    throw new SnapError('E_USAGE', `${location}: ${scheme}:// is not supported`, { hint: PLACES })
  }
  if (lockDays !== undefined) {
    throw new SnapError('E_USAGE', `${location}: --object-lock-days is for s3://`)
  }
  return new LocalStore(location)
}
