import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beginFile, writeFile } from '../../src/age/file.ts'
import { identitiesOf, type Recipients, readFile, recipientsOf } from '../../src/age/index.ts'
import { parseIdentityLines, parseRecipientLines } from '../../src/age/keys.ts'
import { ROOT } from '../helpers/sources.ts'

/** The path of a file made with the age tool. */
export function fixturePath(name: string): string {
  return join(ROOT, 'test/fixtures/age', name)
}

/** A file made with the age tool. */
export function fixture(name: string): Buffer {
  return readFileSync(fixturePath(name))
}

/** The identities of a key file among the fixtures. */
export function identityIn(name: string) {
  return identitiesOf({ keys: parseIdentityLines(fixture(name).toString(), name) })
}

/** The recipients of a file among the fixtures. */
export function recipientsIn(name: string) {
  return recipientsOf(parseRecipientLines(fixture(name).toString(), name))
}

/** Gives bytes in chunks of a size. */
export async function* inChunks(bytes: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Puts a stream together. */
export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  // What is yielded belongs to us: it must not be changed by what comes after it.
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Encrypts bytes. */
export async function encrypted(recipients: Recipients, bytes: Uint8Array, size?: number) {
  return await bytesOf(writeFile(await beginFile(recipients), inChunks(bytes, size)))
}

/** Decrypts bytes with a key file among the fixtures. */
export async function decrypted(file: Uint8Array, key = 'key.txt', size?: number) {
  return await bytesOf(readFile(await identityIn(key), inChunks(file, size), 'a.age'))
}

/** Bytes that repeat nowhere near. */
export function someBytes(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + Math.floor(i / 251)) % 256))
}
