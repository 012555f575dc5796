import type { Request, Response } from '../protocol/index.ts'

/** A client of the server behind; that of this project is one. */
export interface UpstreamClient {
  /** Sends a request and gives the bytes of the answer as they come; none if the server failed. */
  ask(
    request: Request,
    options: { readonly payload?: Uint8Array; readonly signal?: AbortSignal },
  ): AsyncIterable<Uint8Array>
  /** Lists the shards of all databases. */
  databaseInfo(database: string, signal: AbortSignal): Promise<Response>
  /** Uploads the tar of a shard into one of any id and name, and waits for the server's end. */
  uploadShard(
    shardId: bigint,
    newShardId: bigint,
    destinationDatabase: string,
    restoreRetention: string,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void>
}

/** What stands behind. */
export interface UpstreamOptions {
  readonly client: UpstreamClient
  readonly readOnly: boolean
  /** Gets uploads until they are whole. */
  readonly tempDir: string
}
