import { MuxHeader, RequestType } from './constants.ts'
import { encodeRequest, type Request } from './request.ts'
import { encodeWords } from './words.ts'

/**
 * Returns all that a client sends, or, before a payload, all that it sends first: multiplexer byte, type byte, JSON and
 * newline. Send it in one write: servers up to 1.8.9 read parts of it with single reads.
 */
export function encodeOpening(request: Request): Uint8Array {
  return Buffer.concat([Uint8Array.of(MuxHeader, request.Type), encodeRequest(request)])
}

/** Returns what stands before the tar of a shard upload: multiplexer byte, type byte, shard id. There is no JSON. */
export function encodeUploadOpening(shardId: bigint): Uint8Array {
  return Buffer.concat([Uint8Array.of(MuxHeader, RequestType.ShardUpdate), encodeWords([shardId])])
}
