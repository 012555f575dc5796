import type { SnapError } from '../errors.ts'
import type { ChunkReader } from '../io/chunk-reader.ts'
import type { Connection } from '../io/connection.ts'
import type { GoJson } from '../protocol/index.ts'
import type { Budgets, ServiceLimits } from './limits.ts'
import type { MetaClient, TSDBStore } from './stores.ts'

/** A peer that has asked for something. */
export interface Conversation {
  readonly connection: Connection
  /** What follows the opening. */
  readonly reader: ChunkReader
  readonly limits: ServiceLimits
  readonly budgets: Budgets
}

/** What an answer is made from. */
export interface Context extends Conversation {
  readonly metaClient: MetaClient
  readonly tsdbStore: TSDBStore
  readonly node: GoJson
  /** Runs metadata updates one after another. */
  readonly serially: <T>(work: () => Promise<T>) => Promise<T>
}

/** How an answer ends. */
export interface Answer {
  /** What is still to be sent before the end; nothing for an answer that was streamed. */
  readonly last?: Uint8Array
  /** Why the answer is a refusal, for the log and for a peer in this process. */
  readonly refusal?: SnapError
}
