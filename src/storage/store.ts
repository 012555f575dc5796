import { SnapError } from '../errors.ts'

/** One thing in a store. Unfinished ones are listed too: their names end in `.pending`. */
export interface StoredObject {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly modified: Date
  /** Until when it cannot be deleted; told by `stat` alone, where a store keeps such locks. */
  readonly lockedUntil?: Date | undefined
}

/** An upload that was not finished. Nothing lists it as an object, but a store keeps its bytes. */
export interface Upload {
  /** The name that its bytes would have had. */
  readonly name: string
  readonly started: Date
  /**
   * Gives it up.
   * @throws SnapError `E_DESTINATION`
   */
  abort(): Promise<void>
}

/** A part of an object in bytes: `start` is in it, `end` is not. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** Bytes that are stored whole but have no name yet: nobody who lists final names sees them. */
export interface Staged {
  /** The name they will have. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /**
   * Reads exactly `range` of the bytes, until they are published or discarded. Not there where a store can read only what has
   * its final name.
   * @throws SnapError as {@link Store.read}
   */
  readonly read?:
    | ((range: ByteRange, signal?: AbortSignal) => AsyncIterable<Uint8Array>)
    | undefined
  /**
   * Gives the bytes their name, for good, together with the end of a reservation of it.
   * @throws SnapError `E_TARGET_EXISTS` if something has the name, `E_DESTINATION`
   */
  publish(): Promise<void>
  /**
   * As `publish`, but what is under the unfinished name stays until `discard`: that of many files goes with one request. Not there
   * where nothing would stay.
   */
  readonly takeName?: (() => Promise<void>) | undefined
  /**
   * Removes the bytes as far as they are under the unfinished name, and a reservation of the name. Does nothing after `publish` or
   * when called again.
   */
  discard(): Promise<void>
}

/**
 * A flat place for files: a directory, or a prefix in a bucket. Names are checked by every method
 * ({@link checkName}). All waits end with their `signal`.
 */
export interface Store {
  /** Where it is, for people: a path or a URL. */
  readonly url: string
  /**
   * Lists what is there, in no order; nothing if the place does not exist.
   * @param prefix what the names begin with; all others are passed over. Default all
   * @throws SnapError `E_SOURCE` if it cannot be listed
   */
  list(signal?: AbortSignal, prefix?: string): AsyncIterable<StoredObject>
  /**
   * Describes one object, or returns undefined if there is none.
   * @throws SnapError `E_SOURCE` if that cannot be said
   */
  stat(name: string, signal?: AbortSignal): Promise<StoredObject | undefined>
  /**
   * Reads an object, or exactly `range` of it. The caller owns the chunks.
   * @throws SnapError `E_INTEGRITY` if there is none or it ends before the range does, `E_SOURCE` if it cannot be read
   */
  read(name: string, range?: ByteRange, signal?: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Returns the path of the file that has the bytes which {@link Store.read} gives; undefined where there is no such file, as of
   * what is encrypted. Not there in a bucket.
   */
  pathOf?(name: string): string | undefined
  /**
   * Stores `body`, whose chunks may change when the next is asked for, to be published under `name` later; returns when all of
   * it is safe. On failure nothing is left;
   * errors of `body` pass unchanged. Whoever stages a name has reserved it, or a name that it belongs
   * to: what an earlier, dead run left under `<name>.pending` is overwritten.
   * @throws SnapError `E_DESTINATION`
   */
  stage(name: string, body: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Staged>
  /**
   * Takes a name before its first byte by making `<name>.pending` with `text` in it. Of several that try only one gets true;
   * false if the name or its `.pending` is there. Ends with `publish` or `discard` of the staged name, or by deleting `<name>.pending`.
   * @throws SnapError `E_DESTINATION`
   */
  reserve(name: string, text: string, signal?: AbortSignal): Promise<boolean>
  /**
   * Tells whether `create` and `reserve` keep their word against others that try at the same moment. A store without
   * conditional writes does what it can: it looks before, and a second later whose bytes are there.
   * @throws SnapError `E_DESTINATION`
   */
  createsOnce(signal?: AbortSignal): Promise<boolean>
  /**
   * Makes a small object, whole or not at all, unless something has the name: false then. Of several that try only one gets true.
   * @throws SnapError `E_DESTINATION`
   */
  create(name: string, text: string, signal?: AbortSignal): Promise<boolean>
  /**
   * Stores a small object, whole or not at all, in place of what has the name. Returns it as it is listed then: `modified` is
   * now by the clock of the place.
   * @throws SnapError `E_DESTINATION`
   */
  write(name: string, text: string, signal?: AbortSignal): Promise<StoredObject>
  /**
   * Deletes an object for good. One that is not there is deleted already. One whose name ends in `.pending` may come back after
   * a power failure, and stays where the store refuses to delete, and is counted: whoever may only add can still make backups.
   * @throws SnapError `E_DESTINATION`
   */
  delete(name: string, signal?: AbortSignal): Promise<void>
  /**
   * Keeps an object that has its name from being deleted as long as one that is published now, never shorter than it is.
   * Not there where nothing is locked.
   * @throws SnapError `E_DESTINATION`, also if there is no such object
   */
  retain?(name: string, signal?: AbortSignal): Promise<void>
  /** How many unfinished objects the store refused to delete. */
  readonly undeleted: number
  /**
   * Lists uploads that were not finished, of this run and of others. Not there where bytes are listed as they come, as
   * objects.
   * @throws SnapError `E_DESTINATION`
   */
  uploads?(signal?: AbortSignal): AsyncIterable<Upload>
  /** Removes the place itself if this store made it and nothing is in it: a run that failed leaves nothing. */
  abandon(): Promise<void>
}

/** The longest name of an object, in bytes. */
const MAX_NAME_LENGTH = 255

/**
 * Checks that `name` is one plain file name, as it may come out of a manifest.
 * @throws SnapError `E_FORMAT`
 */
export function checkName(name: string): void {
  const plain = name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)
  const portable = process.platform !== 'win32' || !/[\\:]/.test(name)
  if (plain && portable && Buffer.byteLength(name) <= MAX_NAME_LENGTH) return
  throw new SnapError('E_FORMAT', `${JSON.stringify(name)} is no name of a stored file`)
}
