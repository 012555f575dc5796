import { SnapError } from '../errors.ts'
import type { Connection, ReadOptions } from '../io/connection.ts'
import { Gathered } from '../io/gathered.ts'

/** A record of TLS: an alert, and the major version of all that are in use. */
const TLS_ALERT = [0x15, 0x03] as const
const HTTP_STATUS = /^HTTP\/\d\.\d \d{3}[^\0\r\n]*\r\n/

/** Fails if the first bytes of an answer are those of an HTTP server. */
function refuseHttp(first: Uint8Array, name: string): void {
  const [line] = HTTP_STATUS.exec(Buffer.from(first.subarray(0, 256)).toString('latin1')) ?? []
  if (line === undefined) return
  throw new SnapError('E_PROTOCOL', `${name}: answered ${JSON.stringify(line.trim())}`, {
    hint: 'this is an HTTP server (influxd: 8086); give the bind-address of influxd, port 8088 by default',
  })
}

/** Fails if the first bytes of an answer are an alert of TLS. */
function refuseTls(first: Uint8Array, name: string): void {
  if (TLS_ALERT.some((byte, index) => first[index] !== byte)) return
  throw new SnapError('E_PROTOCOL', `${name}: answered in TLS`, {
    hint: 'the server speaks TLS on this port: connect with --tls',
  })
}

/**
 * Gives the bytes of an answer as they come.
 * @param first longest wait in ms for the first ones
 */
export async function* answerOf(
  connection: Connection,
  first: number,
  options?: ReadOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let begun = false
  for await (const chunk of connection.chunks(first, options)) {
    if (!begun) {
      refuseHttp(chunk, connection.name)
      refuseTls(chunk, connection.name)
    }
    begun = true
    yield chunk
  }
}

/**
 * Returns all bytes of a stream.
 * @param tooLong makes the error for more than `limit` bytes
 */
export async function collect(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limit: number,
  tooLong: () => SnapError,
): Promise<Uint8Array> {
  const gathered = new Gathered(limit)
  for await (const chunk of chunks) {
    if (gathered.size + chunk.length > limit) throw tooLong()
    gathered.add(chunk)
  }
  return gathered.bytes
}
