import { createHash } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { bigintAsText } from './json.ts'

/** The end of every sealed document: the hash of all its bytes, taken with zeros in place of the hash. */
const TAIL = /\n {2}"sha256": "([0-9a-f]{64})"\n\}\n$/
const TAIL_LENGTH = '\n  "sha256": ""\n}\n'.length + 64
const HASH_OFFSET = '"\n}\n'.length + 64
const NO_HASH = '0'.repeat(64)

function hashOf(bytes: Uint8Array): string {
  const hashStart = bytes.length - HASH_OFFSET
  return createHash('sha256')
    .update(bytes.subarray(0, hashStart))
    .update(NO_HASH)
    .update(bytes.subarray(hashStart + 64))
    .digest('hex')
}

/** Encodes a document as indented JSON whose last key is the hash of its own bytes. */
export function sealJson(document: Readonly<Record<string, unknown>>): Uint8Array {
  const sealed = { ...document, sha256: NO_HASH }
  // Ten thousand shards are ten megabytes of text, which to append to would copy.
  const text = JSON.stringify(sealed, bigintAsText, 2)
  const bytes = Buffer.alloc(Buffer.byteLength(text) + 1, '\n')
  bytes.write(text)
  bytes.write(hashOf(bytes), bytes.length - HASH_OFFSET, 'latin1')
  return bytes
}

/**
 * Checks a document against the hash at its end: no flipped bit, wherever it is, goes unseen.
 * @throws SnapError `E_INTEGRITY` if the hash is not that of the bytes, `E_FORMAT` if there is none
 */
export function checkSeal(bytes: Uint8Array, what: string): void {
  const tail = Buffer.from(bytes.subarray(-TAIL_LENGTH)).toString('latin1')
  const stored = TAIL.exec(tail)?.[1]
  if (stored === undefined) {
    throw new SnapError('E_FORMAT', `${what}: does not end with its sha256`)
  }
  const actual = hashOf(bytes)
  if (actual !== stored) {
    throw new SnapError('E_INTEGRITY', `${what}: sha256 is ${actual}, expected ${stored}`)
  }
}
