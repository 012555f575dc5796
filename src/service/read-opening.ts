import { SnapError } from '../errors.ts'
import type { ChunkReader } from '../io/chunk-reader.ts'
import {
  decodeRequest,
  MAX_REQUEST_SIZE,
  MuxHeader,
  ObjectScanner,
  oversizedRequest,
  type ReceivedRequest,
  RequestType,
} from '../protocol/index.ts'

/** What a peer asks: a request, or, for an upload, the shard alone. */
export type Opening =
  | { readonly type: typeof RequestType.ShardUpdate; readonly shardId: bigint }
  | { readonly type: number; readonly request: ReceivedRequest }

const SPACE = new Set(Buffer.from(' \t\r\n'))
const OPEN = 0x7b
const CLOSE = 0x7d

async function readByte(reader: ChunkReader): Promise<number> {
  const [byte = 0] = await reader.readExactly(1)
  return byte
}

/**
 * Reads what a peer asks, up to the byte before a payload. Undefined if it left without a word, as port probes do.
 * @throws SnapError `E_PROTOCOL`, `E_CUT`
 */
export async function readOpening(reader: ChunkReader): Promise<Opening | undefined> {
  if (await reader.ended()) return undefined
  const mux = await readByte(reader)
  if (mux !== MuxHeader) {
    throw new SnapError('E_PROTOCOL', `expected the multiplexer byte ${MuxHeader}, got ${mux}`)
  }
  const type = await readByte(reader)
  if (type !== RequestType.ShardUpdate) return { type, request: await readRequest(reader) }
  const id = Buffer.from(await reader.readExactly(8))
  return { type: RequestType.ShardUpdate, shardId: id.readBigUInt64BE() }
}

async function readRequest(reader: ChunkReader): Promise<ReceivedRequest> {
  let byte = await readByte(reader)
  let room = MAX_REQUEST_SIZE - 1
  for (; SPACE.has(byte) && room > 0; room--) byte = await readByte(reader)
  if (byte !== OPEN) {
    throw new SnapError('E_PROTOCOL', `request: expected a JSON object, got byte ${byte}`)
  }
  const scanner = new ObjectScanner()
  const parts: Uint8Array[] = [Uint8Array.of(OPEN)]
  scanner.closes(Uint8Array.of(OPEN))
  for (;;) {
    const part = await readToClose(reader, room)
    room -= part.length
    parts.push(part)
    if (scanner.closes(part)) return decodeRequest(Buffer.concat(parts))
  }
}

async function readToClose(reader: ChunkReader, room: number): Promise<Uint8Array> {
  try {
    return await reader.readUntil(CLOSE, room)
  } catch (error) {
    throw error instanceof SnapError && error.code === 'E_FORMAT' ? oversizedRequest() : error
  }
}
