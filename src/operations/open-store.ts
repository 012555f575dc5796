import { SnapError } from '../errors.ts'
import { LocalStore, type Store } from '../storage/index.ts'

/**
 * Opens the store that a TARGET or SOURCE names.
 * @throws SnapError `E_USAGE` for a kind of place that this version does not know
 */
export function openStore(location: string): Store {
  if (location === '-') {
    throw new SnapError('E_USAGE', '-: a set is several files, it cannot go through a pipe', {
      hint: 'name a directory',
    })
  }
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location) ?? []
  if (scheme === undefined) return new LocalStore(location)
  throw new SnapError('E_USAGE', `${location}: ${scheme}:// is not supported`, {
    hint: 'name a directory',
  })
}
