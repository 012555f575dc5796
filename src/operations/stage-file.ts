import { createHash } from 'node:crypto'
import { beginFile, type Recipients, readFileRange, writeFile } from '../age/index.ts'
import { hashing } from '../io/hashing.ts'
import type { CatalogFile } from '../portable/catalog.ts'
import { sealedName } from '../portable/names.ts'
import type { Staged, Store } from '../storage/index.ts'

/** A file that was staged. */
export interface StagedFile {
  /** Reads the file as it is without encryption. */
  readonly staged: Staged
  /** What its set's catalog says of it. */
  readonly file: CatalogFile
}

/** A file of a set to be staged. */
export interface FileToStage {
  /** Its name without encryption. */
  readonly name: string
  readonly body: AsyncIterable<Uint8Array>
  /** SHA-256 of the body, in hex, asked for once it has ended. */
  readonly sha256: () => string
  /** Whom it is encrypted to; without them it is not. */
  readonly recipients: Recipients | undefined
}

/**
 * Stages a file of a set, encrypted if there are recipients: the store gets nothing else then.
 * @throws SnapError what {@link Store.stage} throws
 */
export async function stageFile(
  store: Store,
  { name, body, sha256, recipients }: FileToStage,
  signal?: AbortSignal,
): Promise<StagedFile> {
  if (recipients === undefined) {
    const staged = await store.stage(name, body, signal)
    return { staged, file: { name, size: staged.size, sha256: sha256() } }
  }
  const what = sealedName(name)
  const head = await beginFile(recipients)
  const hash = createHash('sha256')
  const counted = { size: 0 }
  const sealed = writeFile(head, counting(body, counted))
  const staged = await store.stage(what, hashing(sealed, hash), signal)
  const { size } = staged
  const read = staged.read?.bind(staged)
  const takeName = staged.takeName?.bind(staged)
  const opened: Staged = {
    ...{ name: what, size },
    ...(read && {
      read: (range, reading) =>
        readFileRange({ what, head, size, read: (sealed) => read(sealed, reading) }, range),
    }),
    publish: () => staged.publish(),
    ...(takeName && { takeName }),
    discard: () => staged.discard(),
  }
  const plain = { size: counted.size, sha256: sha256() }
  return { staged: opened, file: { name: what, size, sha256: hash.digest('hex'), plain } }
}

async function* counting(
  body: AsyncIterable<Uint8Array>,
  counted: { size: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    counted.size += chunk.length
    yield chunk
  }
}
