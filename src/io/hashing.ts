/** Passes bytes on and hashes them on their way. */
export async function* hashing(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  hash: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of bytes) {
    await hash.update(chunk)
    yield chunk
  }
}
