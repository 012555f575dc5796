import { readSync, writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'

/** Bytes after which a thread that waits for files looks whether it was told something. */
const TURN_SIZE = 4 * 1024 * 1024
let sinceTurn = 0

/**
 * Reads what there is at `position` into `bytes`; returns how much, 0 at the end. A thread that has nothing else to do waits for
 * the call itself: on the main one it goes by way of libuv's four threads, which may all wait for a disk.
 */
export async function readSome(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<number> {
  if (isMainThread) return (await handle.read(bytes, 0, bytes.length, position)).bytesRead
  await takeTurn(bytes.length)
  return readSync(handle.fd, bytes, 0, bytes.length, position)
}

/** Writes all of `bytes` at `position`, as {@link readSome} reads. */
export async function writeAt(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = bytes.length - done
    done += isMainThread
      ? (await handle.write(bytes, done, length, position + done)).bytesWritten
      : writeSync(handle.fd, bytes, done, length, position + done)
  }
}

async function takeTurn(length: number): Promise<void> {
  sinceTurn += length
  if (sinceTurn < TURN_SIZE) return
  sinceTurn = 0
  await setImmediate()
}
