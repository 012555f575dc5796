import type { ClientTls } from './tls.ts'

/** How a server is spoken with. Times in ms. */
export interface ClientOptions {
  /** For the connection. Default 10 s. */
  readonly connect?: number | undefined
  /** For the first bytes of an answer: a server flushes its cache first. Default 10 min. */
  readonly firstByte?: number | undefined
  /** For the next bytes, sent or received. Default 2 min. */
  readonly idle?: number | undefined
  /** For the end of an upload: a server rebuilds its index. Default 30 min. */
  readonly uploadEnd?: number | undefined
  /**
   * Chunks of shards may change when the next is asked for, as their memory is used again: for readers of gigabytes. Default
   * false: they are the reader's.
   */
  readonly reused?: boolean | undefined
  /** Speaks TLS with the server, and with no other. */
  readonly tls?: ClientTls | undefined
  /** Sent inside TLS to a server that knows of tokens, and to no other. */
  readonly token?: string | undefined
}

/** Which shard is asked for. The names are for the server's information; the id decides. */
export interface ShardSelection {
  readonly database: string
  readonly retentionPolicy: string
  readonly shardId: bigint | number
  /** Asks `snap serve` for a last file that says that all was sent (docs/protocol.md); influxd does not know it. Default false. */
  readonly statement?: boolean | undefined
}

/** A shard backup. */
export interface ShardBackupRequest extends ShardSelection {
  /** Only files changed after it, in nanoseconds since 1970. Default: all files. */
  readonly since?: bigint | undefined
}

/** A shard export; times in nanoseconds since 1970, both inclusive. */
export interface ShardExportRequest extends ShardSelection {
  /** Default: the first time that InfluxDB can store. */
  readonly start?: bigint | undefined
  /** Default: the last time that InfluxDB can store. */
  readonly end?: bigint | undefined
}
