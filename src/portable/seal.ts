import { createHash } from 'node:crypto'
import { SnapError } from '../errors.ts'
import { bigintAsText } from './json.ts'

/** The end of every sealed document: the hash of all its bytes, taken with zeros in place of the hash. */
const TAIL = /\n {2}"sha256": "([0-9a-f]{64})"\n\}\n$/
const TAIL_LENGTH = '\n  "sha256": ""\n}\n'.length + 64
const END = '"\n}\n'
const HASH_OFFSET = END.length + 64
const NO_HASH = '0'.repeat(64)

function hashOf(bytes: Uint8Array): string {
  const hashStart = bytes.length - HASH_OFFSET
  return createHash('sha256')
    .update(bytes.subarray(0, hashStart))
    .update(NO_HASH)
    .update(bytes.subarray(hashStart + 64))
    .digest('hex')
}

/** So much text is gathered before it is encoded and given away, in UTF-16 units. */
const PIECE_LENGTH = 64 * 1024

/**
 * Encodes a document as indented JSON whose last key is the hash of its own bytes. It comes in pieces: ten thousand shards are
 * ten megabytes.
 */
export function* sealJson(
  document: Readonly<Record<string, unknown>>,
): Generator<Uint8Array, void, undefined> {
  const hash = createHash('sha256')
  let text = '{'
  for (const part of fieldsOf(document)) {
    text += part
    if (text.length < PIECE_LENGTH) continue
    const bytes = Buffer.from(text)
    hash.update(bytes)
    yield bytes
    text = ''
  }
  const bytes = Buffer.from(`${text}\n  "sha256": "`)
  const sha256 = hash.update(bytes).update(NO_HASH).update(END).digest('hex')
  yield bytes
  yield Buffer.from(sha256 + END)
}

/** The fields of a document as `JSON.stringify` indents them, each with a comma after it; items of arrays one by one. */
function* fieldsOf(
  document: Readonly<Record<string, unknown>>,
): Generator<string, void, undefined> {
  for (const [key, value] of Object.entries(document)) {
    if (value === undefined) continue
    let start = `\n  ${JSON.stringify(key)}: `
    if (!Array.isArray(value) || value.length === 0) {
      yield `${start}${indented(value, '\n  ')},`
      continue
    }
    start += '['
    for (const item of value) {
      yield `${start}\n    ${indented(item, '\n    ')}`
      start = ','
    }
    yield '\n  ],'
  }
}

/** Strings of JSON have no line breaks in them. */
function indented(value: unknown, line: string): string {
  return JSON.stringify(value, bigintAsText, 2).replaceAll('\n', line)
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
