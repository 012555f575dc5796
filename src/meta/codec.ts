import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { asSnapError, SnapError } from '../errors.ts'
import type { Data } from './meta_pb.gen.ts'
import { DataSchema } from './meta_pb.gen.ts'
import { checkWire } from './wire-check.ts'

/** The longest metastore that is read or sent, in bytes. */
export const MAX_META_SIZE = 64 * 1024 * 1024

/**
 * Decodes a metastore: the contents of `meta.db`, the meta part of a metastore answer, or the `data` of
 * a portable `.meta` file (docs/formats/meta.md). Unknown fields are kept. Text is copied, unknown fields
 * are views over `bytes`.
 * @param what names the bytes in messages
 * @throws SnapError `E_FORMAT` if the bytes are longer than {@link MAX_META_SIZE} or malformed
 */
export function decodeData(bytes: Uint8Array, what = 'metastore'): Data {
  if (bytes.length > MAX_META_SIZE) {
    throw new SnapError(
      'E_FORMAT',
      `${what}: ${bytes.length} bytes, expected at most ${MAX_META_SIZE}`,
    )
  }
  checkWire(DataSchema, bytes, what)
  try {
    return fromBinary(DataSchema, bytes)
  } catch (error) {
    throw asSnapError(error, 'E_FORMAT', what)
  }
}

/**
 * Encodes a metastore as influxd reads it.
 * @throws SnapError `E_FORMAT` if a required field is not set or the result is longer than {@link MAX_META_SIZE}
 */
export function encodeData(data: Data): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = toBinary(DataSchema, data)
  } catch (error) {
    throw asSnapError(error, 'E_FORMAT', 'metastore')
  }
  if (bytes.length <= MAX_META_SIZE) return bytes
  throw new SnapError(
    'E_FORMAT',
    `metastore: ${bytes.length} bytes when encoded, expected at most ${MAX_META_SIZE}`,
  )
}
