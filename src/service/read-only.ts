import { SnapError } from '../errors.ts'
import { encodeShardIds, RequestType } from '../protocol/index.ts'
import type { Answer } from './context.ts'
import type { Opening } from './read-opening.ts'

/**
 * Returns the refusal of a metadata update; undefined for what changes nothing.
 * @throws SnapError `E_DESTINATION` for an upload: the protocol has no answer that would refuse it
 */
export function refuseWrites(opening: Opening): Answer | undefined {
  if ('shardId' in opening) throw readOnly()
  if (opening.type !== RequestType.MetaStoreUpdate) return undefined
  return { last: encodeShardIds(new Map()), refusal: readOnly() }
}

function readOnly(): SnapError {
  return new SnapError('E_DESTINATION', 'open for reading only', {
    hint: 'it takes restores with --mode read-write',
  })
}
