import { SnapError } from '../errors.ts'
import type { Connection } from '../io/connection.ts'
import { asksFor, type ReceivedRequest, type Request, RequestType } from '../protocol/index.ts'
import type { Answer, Conversation } from './context.ts'
import type { Answerer } from './converse.ts'
import { withPayload } from './payload.ts'
import { refuseWrites } from './read-only.ts'
import { TarEnd } from './tar-end.ts'
import { Uploads } from './uploads.ts'
import type { UpstreamClient, UpstreamOptions } from './upstream-client.ts'
import { relayUpload } from './upstream-upload.ts'

/** Answers peers by what another server answers, which is asked for nothing that is not whole and sound. */
export function upstreamAnswerer(options: UpstreamOptions): Answerer {
  const uploads = new Uploads()
  const { client, readOnly } = options
  return async (peer, opening) => {
    const refusal = readOnly ? refuseWrites(opening) : undefined
    if (refusal !== undefined) return refusal
    if ('shardId' in opening) {
      const { shardId } = opening
      await uploads.run(shardId, async () => await relayUpload(shardId, peer, options))
      return {}
    }
    return await relay(opening.type, opening.request, { peer, client })
  }
}

/** The types that are passed on. influxd does not answer the one that is missing. */
const RELAYED: readonly number[] = [
  RequestType.ShardBackup,
  RequestType.MetastoreBackup,
  RequestType.DatabaseInfo,
  RequestType.RetentionPolicyInfo,
  RequestType.ShardExport,
  RequestType.MetaStoreUpdate,
]
const TARS: readonly number[] = [RequestType.ShardBackup, RequestType.ShardExport]

interface Relay {
  readonly peer: Conversation
  readonly client: UpstreamClient
}

async function relay(
  type: number,
  received: ReceivedRequest,
  { peer, client }: Relay,
): Promise<Answer> {
  const known = Object.values(RequestType).find((value) => value === type)
  if (known === undefined || !RELAYED.includes(known)) {
    throw new SnapError('E_PROTOCOL', `request type ${type} is not passed on`)
  }
  const request = requestOf(known, received)
  const { signal } = peer.connection
  if (known !== RequestType.MetaStoreUpdate) {
    return await passOn(known, client.ask(request, { signal }), peer.connection)
  }
  return await withPayload(peer, received.UploadSize, async (payload) => {
    const sent = { ...request, UploadSize: payload.length }
    return await passOn(known, client.ask(sent, { payload, signal }), peer.connection)
  })
}

async function passOn(
  type: RequestType,
  answer: AsyncIterable<Uint8Array>,
  connection: Connection,
): Promise<Answer> {
  const end = new TarEnd()
  for await (const chunk of answer) {
    end.pass(chunk)
    await connection.write(chunk)
  }
  if (end.size === 0) throw new SnapError('E_SOURCE', 'the server behind gave no answer')
  if (TARS.includes(type) && !end.isWhole) {
    // influxd ends an answer that it breaks off like a whole one, and its client takes it for one.
    throw new SnapError('E_CUT', `the server behind broke off after ${end.size} bytes`)
  }
  return {}
}

/** The first and last nanosecond that influxd stores. No time as a bound would overflow there and select other data. */
const FIRST_TIME = -(2n ** 63n) + 2n
const LAST_TIME = 2n ** 63n - 2n

/** Returns the request as our own client would write it: nothing of the peer's bytes reaches the server. */
function requestOf(type: RequestType, received: ReceivedRequest): Request {
  const { Type: _type, UploadSize: _size, extra: _extra, ...fields } = received
  const bounds = {
    ExportStart: received.ExportStart ?? FIRST_TIME,
    ExportEnd: received.ExportEnd ?? LAST_TIME,
  }
  return {
    ...fields,
    ...(type === RequestType.ShardExport && bounds),
    Type: type,
    ...(asksFor(received, 'SnapTrailer') && { SnapTrailer: 1 }),
    ...(asksFor(received, 'SnapState') && { SnapState: 1 }),
  }
}
