import { asSnapError, SnapError } from '../errors.ts'
import { ChunkReader } from '../io/chunk-reader.ts'
import type { Connection } from '../io/connection.ts'
import { decodeTokenLine, MAX_TOKEN_LINE, RequestType } from '../protocol/index.ts'
import type { Answer, Conversation } from './context.ts'
import type { Budgets, ServiceLimits } from './limits.ts'
import { type ObservedRequest, type Observer, typeName } from './observer.ts'
import { type Opening, readOpening } from './read-opening.ts'
import type { Logger } from './stores.ts'

/** Answers what a peer asks, or throws. */
export type Answerer = (conversation: Conversation, opening: Opening) => Promise<Answer>

/** What a peer past a door has to say before it may ask. */
export interface TokenCheck {
  /** Whether the peer begins with a token line. */
  readonly isSent: boolean
  /** Tells whether a token is right; undefined where none is asked for. */
  readonly accepts: ((token: string) => Promise<boolean>) | undefined
}

/** A peer that has come as far as to be talked to. */
export interface Visitor {
  readonly connection: Connection
  /** Undefined where there is no door. */
  readonly tokens?: TokenCheck | undefined
}

/** How a peer is talked to. */
export interface ConverseOptions extends Pick<Visitor, 'tokens'> {
  readonly answer: Answerer
  readonly limits: ServiceLimits
  readonly budgets: Budgets
  readonly logger: Logger
  readonly observer: Observer
  /** Told when the peer has asked for something. */
  readonly onRequest: () => void
}

/** Talks to one peer to its end, and closes the connection. Errors go to the log and to the peer, never to the caller. */
export async function converse(connection: Connection, options: ConverseOptions): Promise<void> {
  try {
    await talk(connection, options)
  } finally {
    connection.close()
  }
}

async function talk(connection: Connection, options: ConverseOptions): Promise<void> {
  const { limits, budgets, logger, onRequest } = options
  const reader = new ChunkReader(connection.chunks(), 'request')
  let opening: Opening | undefined
  let begun = performance.now()
  const count = (result: ObservedRequest['result']) => {
    const seconds = (performance.now() - begun) / 1000
    const bytes = connection.written
    options.observer.requested({ type: typeName(opening), result, seconds, bytes })
  }
  try {
    await checkToken(connection, reader, options)
    opening = await connection.within(limits.header, 'request', readOpening(reader))
    if (opening === undefined) return
    onRequest()
    begun = performance.now()
    const { last, refusal } = await options.answer({ connection, reader, limits, budgets }, opening)
    if (refusal !== undefined && connection.inProcess) throw refusal
    await connection.end(last)
    count(refusal === undefined ? 'answered' : 'refused')
    logAnswer(logger, { connection, opening, refusal })
  } catch (error) {
    count('failed')
    await answerError(logger, { connection, opening, error })
  }
  // Whoever was answered may still be on the way through what the system holds for it.
  await linger(connection, reader, opening === undefined ? limits.header : limits.idle)
}

/** A peer that is kept out is reset, never ended: after an upload, an end would look like success. */
async function checkToken(
  connection: Connection,
  reader: ChunkReader,
  { tokens, limits }: ConverseOptions,
): Promise<void> {
  if (tokens === undefined) return
  const { isSent, accepts } = tokens
  try {
    const line = isSent ? reader.readUntil(NEWLINE, MAX_TOKEN_LINE) : undefined
    const token = line && decodeTokenLine(await connection.within(limits.token, 'token', line))
    if (accepts === undefined) return
    if (token === undefined) throw refused('it knows nothing of tokens')
    if (token === '') throw refused('it gave no token')
    if (!(await accepts(token))) throw refused('its token is none of ours')
  } catch (error) {
    const failure = asSnapError(error, 'E_FAILED', 'token')
    connection.fail(failure)
    throw failure
  }
}

const NEWLINE = 0x0a

function refused(why: string): SnapError {
  return new SnapError('E_CONNECT', `refused: ${why}`)
}

interface Ending {
  readonly connection: Connection
  readonly opening: Opening | undefined
}

function logAnswer(
  logger: Logger,
  { connection, opening, refusal }: Ending & { readonly refusal: SnapError | undefined },
): void {
  const what = `${connection.name}: ${described(opening)}`
  if (refusal === undefined) logger.info(`${what}: answered, ${connection.written} bytes`)
  else logger.warn(`${what}: refused: ${refusal.message}`)
}

/**
 * Ends a conversation that failed. On the network an end without a byte is the protocol's error; where an end would be
 * taken for success, in the middle of an answer or after an upload, the connection is reset.
 */
async function answerError(
  logger: Logger,
  { connection, opening, error }: Ending & { readonly error: unknown },
): Promise<void> {
  const failure = asSnapError(error, 'E_FAILED', 'failed')
  logger.error(`${connection.name}: ${described(opening)}: ${failure.message}`)
  const upload = opening !== undefined && 'shardId' in opening
  if (connection.inProcess || upload || connection.written > 0) connection.fail(failure)
  // A peer that is gone needs no end.
  else await connection.end().catch(() => {})
}

/** Reads what the peer still sends until it ends: closing with bytes unread would reset the connection under our answer. */
async function linger(connection: Connection, reader: ChunkReader, limit: number): Promise<void> {
  const drain = async () => {
    for await (const _chunk of reader.rest()) {
      // Nothing more is expected of the peer than its end.
    }
  }
  await connection.within(limit, 'end of the peer', drain()).catch(() => {})
}

const TYPE_NAMES = Object.keys(RequestType)

/** Says what was asked, for the log. */
function described(opening: Opening | undefined): string {
  if (opening === undefined) return 'request'
  const name = TYPE_NAMES[opening.type] ?? `type ${opening.type}`
  if ('shardId' in opening) return `${name} ${opening.shardId}`
  const { BackupDatabase, BackupRetentionPolicy, ShardID } = opening.request
  const names = [BackupDatabase, BackupRetentionPolicy].filter((part) => part !== '')
  const shard = ShardID === 0n ? [] : [`shard ${ShardID}`]
  return [name, ...names.map((part) => JSON.stringify(part)), ...shard].join(' ')
}
