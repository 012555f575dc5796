import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { SnapError } from '../errors.ts'
import { checkWire, MAX_META_SIZE } from '../meta/index.ts'
import type { PortableData } from './packer_pb.gen.ts'
import { PortableDataSchema } from './packer_pb.gen.ts'

/** The longest `.meta` file: the longest metastore with what is around it. */
const MAX_FILE_SIZE = MAX_META_SIZE + 1024

/**
 * Decodes a portable `.meta` file. Its `data` is the metastore, still encoded, as a view over `bytes`.
 * @param what names the bytes in messages
 * @throws SnapError `E_FORMAT`
 */
export function decodeMetaFile(bytes: Uint8Array, what = '.meta file'): PortableData {
  if (bytes.length > MAX_FILE_SIZE) {
    const message = `${what}: ${bytes.length} bytes, expected at most ${MAX_FILE_SIZE}`
    throw new SnapError('E_FORMAT', message)
  }
  checkWire(PortableDataSchema, bytes, what)
  return fromBinary(PortableDataSchema, bytes)
}

/** Encodes a portable `.meta` file around an encoded metastore. */
export function encodeMetaFile(data: Uint8Array, maxNodeId = 0n): Uint8Array {
  return toBinary(PortableDataSchema, create(PortableDataSchema, { data, maxNodeId }))
}
