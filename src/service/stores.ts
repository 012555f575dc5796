import type { Writable } from 'node:stream'
import type { Data, DatabaseInfo } from '../meta/index.ts'

/** A value now or later: stores may answer at once or not. */
export type Awaitable<T> = T | Promise<T>

/**
 * The metastore behind a {@link Service}. Whatever a method throws reaches the server's log, and the caller if it is in
 * the same process; a peer on the network is told by an answer of 0 bytes, all that the protocol has for it.
 */
export interface MetaClient {
  /** Returns the whole metastore in protobuf, as `meta.db` holds it. */
  marshalBinary(): Awaitable<Uint8Array>
  /** Returns the database of that name, or undefined. */
  database(name: string): Awaitable<DatabaseInfo | undefined>
  /** Returns all databases. */
  databases(): Awaitable<readonly DatabaseInfo[]>
  /** Returns the whole metastore. It is read, never changed. */
  data(): Awaitable<Data>
  /**
   * Replaces the metastore, all or nothing, and moves its index on. The service calls `data` and `setData` as a pair and
   * never two pairs at a time; that nothing else writes in between is the store's business. Throw to refuse.
   */
  setData(data: Data): Awaitable<void>
}

/** A shard that a store has. */
export interface ListedShard {
  /** Its directory below the data directory, `database/policy/id`. */
  readonly path: string
  /** Digests of its files: equal ones say that nothing changed. */
  readonly state?: { readonly state: string; readonly shape: string } | undefined
}

/**
 * The shards behind a {@link Service}. Ids are unsigned 64-bit, times are nanoseconds since 1970 inside int64: Go's zero
 * time and anything out of range arrive as the lowest or highest int64. Every `signal` is aborted when the peer is gone,
 * too slow, or the service closes; a method should stop then and throw. Errors as in {@link MetaClient}; after the first
 * byte of an answer they reset the connection, so that the peer cannot take what it has for whole.
 */
export interface TSDBStore {
  /**
   * Writes the shard's files that changed after `since` as a tar of `database/policy/id/file`, ending in 1,024 zero bytes;
   * no files are those alone. Wait for `drain` as with any Writable; ending `w` is allowed and not needed.
   * @param statement the peer asks for a last file that says that all was sent (docs/protocol.md); a store need not know it
   */
  backupShard(
    id: bigint,
    since: bigint,
    w: Writable,
    signal: AbortSignal,
    statement: boolean,
  ): Awaitable<void>
  /** Writes what the shard holds from `start` to `end`, both inclusive, in the same form. */
  exportShard(
    id: bigint,
    start: bigint,
    end: bigint,
    w: Writable,
    signal: AbortSignal,
    statement: boolean,
  ): Awaitable<void>
  /** Returns anything but undefined if the shard is here; the others are left out of answers. */
  shard(id: bigint): Awaitable<object | undefined>
  /** Returns the shard's directory below the data directory, `database/policy/id`. */
  shardRelativePath(id: bigint): Awaitable<string>
  /**
   * Returns those of the shards that are here, with their directories as of `shardRelativePath`, instead of being asked for each,
   * and with `stated` with digests of their files. A store need not have it: digests are asked only of one that says in its node that it knows them.
   */
  listShards?(ids: readonly bigint[], stated: boolean): Awaitable<ReadonlyMap<bigint, ListedShard>>
  /** Takes the shard out of use before an upload, and back after it, whether it succeeded or not. */
  setShardEnabled(id: bigint, enabled: boolean): Awaitable<void>
  /**
   * Adds the files of a tar to the shard. The names in it and its being whole are for the store to check; `r` fails if
   * the connection breaks and ends when the peer has ended. Never called twice at a time for one shard.
   */
  restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal): Awaitable<void>
  /** Makes an empty shard. */
  createShard(
    database: string,
    retentionPolicy: string,
    id: bigint,
    enabled: boolean,
  ): Awaitable<void>
  /**
   * Takes `createShard` back, which may have failed half way. What is not empty stays. Left out, an import that fails leaves its empty
   * shards behind.
   */
  deleteShard?(database: string, retentionPolicy: string, id: bigint): Awaitable<void>
}

/** Where a {@link Service} says what happens: `console` and most loggers have this shape. Its methods never throw. */
export interface Logger {
  info(message: string): void
  warn(message: string): void
  error(message: string): void
}
