import { SnapError } from '../errors.ts'
import { LocalStore, type Store } from '../storage/index.ts'

/** How a store is reached, besides where it is. */
export interface StoreOptions {
  /** URL of an S3-compatible store. Default AWS, or what its variables and profiles say. */
  readonly s3Endpoint?: string | undefined
}

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i

/** The scheme of a URL in lower case (`s3`); undefined for a path. */
export function schemeOf(location: string): string | undefined {
  return SCHEME.exec(location)?.[1]?.toLowerCase()
}

/**
 * Opens the store that a TARGET or SOURCE names.
 * @throws SnapError `E_USAGE` for a kind of place that this version does not know
 */
export function openStore(location: string, _options: StoreOptions = {}): Store {
  if (location === '-') {
    throw new SnapError('E_USAGE', '-: a set is several files, it cannot go through a pipe', {
      hint: 'name a directory',
    })
  }
  const scheme = schemeOf(location)
  if (scheme === undefined) return new LocalStore(location)
  throw new SnapError('E_USAGE', `${location}: ${scheme}:// is not supported`, {
    hint: 'name a directory',
  })
}
