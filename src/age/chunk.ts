/** The payload of an age file: chunks sealed one by one (age-encryption.org/v1, "Payload"). */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import { SnapError } from '../errors.ts'

/** Bytes of plaintext in every chunk but the last. */
export const CHUNK_SIZE = 64 * 1024
/** Bytes that sealing adds to a chunk: its Poly1305 tag. */
export const TAG_SIZE = 16
/** Bytes of a whole chunk as it is stored. */
export const SEALED_CHUNK_SIZE = CHUNK_SIZE + TAG_SIZE
/** Bytes between the header and the first chunk. */
export const PAYLOAD_NONCE_SIZE = 16

const CIPHER = 'chacha20-poly1305'
const KEY_SIZE = 32
const NONCE_SIZE = 12
/** The counter has eleven bytes; no file comes near the six of them that are used. */
const COUNTER_OFFSET = 5
const COUNTER_BYTES = 6

/** A key for the chunks of one file. */
export type PayloadKey = Uint8Array

/** Which chunk it is. */
export interface ChunkPlace {
  readonly index: number
  readonly isLast: boolean
}

/** Derives the key of the chunks from the file key and the nonce that stands before them. */
export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): PayloadKey {
  return new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', KEY_SIZE))
}

/** Bytes of the chunks of `size` bytes of plaintext. */
export function sealedSize(size: number): number {
  return size + TAG_SIZE * Math.max(1, Math.ceil(size / CHUNK_SIZE))
}

/**
 * Bytes of plaintext in chunks of `size` bytes.
 * @returns undefined if chunks are never of that size
 */
export function openedSize(size: number): number | undefined {
  const chunks = Math.max(1, Math.ceil(size / SEALED_CHUNK_SIZE))
  const last = size - (chunks - 1) * SEALED_CHUNK_SIZE
  // Only a file of nothing has an empty last chunk.
  if (last < TAG_SIZE || (last === TAG_SIZE && chunks > 1)) return undefined
  return size - chunks * TAG_SIZE
}

/** Seals a chunk into the beginning of `into`. */
export function sealChunk(
  key: PayloadKey,
  place: ChunkPlace,
  { chunk, into }: { readonly chunk: Uint8Array; readonly into: Uint8Array },
): void {
  const cipher = createCipheriv(CIPHER, key, nonceOf(place), { authTagLength: TAG_SIZE })
  into.set(cipher.update(chunk))
  cipher.final()
  into.set(cipher.getAuthTag(), chunk.length)
}

/** Opens a sealed chunk; undefined if it is not what was sealed at this place with this key. */
export function openChunk(
  key: PayloadKey,
  place: ChunkPlace,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < TAG_SIZE) return undefined
  const decipher = createDecipheriv(CIPHER, key, nonceOf(place), { authTagLength: TAG_SIZE })
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_SIZE))
  const chunk = decipher.update(sealed.subarray(0, sealed.length - TAG_SIZE))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return place.isLast && place.index > 0 && chunk.length === 0 ? undefined : chunk
}

/** Says what is wrong with a chunk that does not open. @param offset where it begins in the file, in bytes */
export function damagedChunk(
  key: PayloadKey,
  { index, isLast }: ChunkPlace,
  { sealed, offset, what }: { sealed: Uint8Array; offset: number; what: string },
): SnapError {
  const isCut = isLast && openChunk(key, { index, isLast: false }, sealed) !== undefined
  const end = offset + sealed.length
  return new SnapError(
    'E_INTEGRITY',
    isCut
      ? `${what}: cut at ${end} bytes, between two encrypted chunks`
      : `${what}: the encrypted chunk at offset ${offset} is damaged or cut`,
  )
}

function nonceOf({ index, isLast }: ChunkPlace): Uint8Array {
  const nonce = Buffer.alloc(NONCE_SIZE)
  nonce.writeUIntBE(index, COUNTER_OFFSET, COUNTER_BYTES)
  nonce[NONCE_SIZE - 1] = isLast ? 1 : 0
  return nonce
}
