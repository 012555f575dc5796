import { SnapError } from '../errors.ts'
import { decodeShardIds, MAX_UPLOAD_SIZE, type Request } from '../protocol/index.ts'
import { collect } from './answer.ts'
import { decodeFrom } from './failures.ts'

/** A metadata update: which database and policy of the uploaded metastore, and their new names. `Type` may be left out. */
export type MetaUpdateRequest = Omit<Request, 'Type'> & Partial<Pick<Request, 'Type'>>

/**
 * Reads the metastore to be uploaded.
 * @throws SnapError `E_USAGE` if it is longer than a request may carry, or not of `size` bytes
 */
export async function readPayload(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number | undefined,
): Promise<Uint8Array> {
  const payload = await collect(
    stream,
    MAX_UPLOAD_SIZE,
    () =>
      new SnapError('E_USAGE', `metadata update: metastore of more than ${MAX_UPLOAD_SIZE} bytes`),
  )
  if (size === undefined || size === payload.length) return payload
  throw new SnapError(
    'E_USAGE',
    `metadata update: UploadSize is ${size}, the metastore has ${payload.length} bytes`,
  )
}

/**
 * Decodes the answer to a metadata update.
 * @throws SnapError `E_DESTINATION` if it is empty or has no pairs
 */
export function changedShardIds(name: string, answer: Uint8Array): Map<bigint, bigint> {
  if (answer.length === 0) {
    throw new SnapError('E_DESTINATION', `${name}: empty answer to a metadata update`, {
      hint: `the server failed, look at its log; ${MAY_HAVE_CHANGED}`,
    })
  }
  const shardIds = decodeFrom(name, answer, decodeShardIds)
  if (shardIds.size > 0) return shardIds
  throw new SnapError(
    'E_DESTINATION',
    `${name}: server did not change its metadata: it mapped no shards`,
    {
      hint:
        'a database of that name is there already; the uploaded metastore does not hold the database or policy; ' +
        'it holds no shards (then an empty database was made all the same); or the server could not decode it ' +
        '(influxd before 1.8.10: send a smaller one). Its log says which',
    },
  )
}

const MAY_HAVE_CHANGED =
  'its metadata may be changed all the same: list its databases before trying again'

/** Says of `size` bytes of metadata: a server that got an update may have applied it whatever happened then, so it must not be sent again unseen. */
export function notRepeatable(error: unknown, size: number): unknown {
  if (!(error instanceof SnapError) || !error.retryable) return error
  const old = `if it is an influxd before 1.8.10, ${size} bytes of metadata may be too many for it`
  const hint = size > SMALL ? `${MAY_HAVE_CHANGED}; ${old}` : MAY_HAVE_CHANGED
  return new SnapError(error.code, error.message, { cause: error, hint })
}

/** What arrives in one piece over any network, bytes. */
const SMALL = 1024
