import { createHash } from 'node:crypto'
import { EXIT_CODES, SnapError } from '../errors.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import type { ReusableShard } from '../portable/reusable.ts'
import { decodeSidecar, encodeSidecar } from '../portable/sidecar.ts'
import { readSmallFile } from '../portable/source.ts'
import type { Staged, Store } from '../storage/index.ts'

/** An archive that was stored under a new name, and the sidecar that goes with it. */
export interface CopiedShard {
  readonly staged: Staged
  /** Of the archive. */
  readonly sha256: string
  readonly sidecar: Uint8Array
}

/**
 * Stages the archive that a run which died has left, under the name of another set.
 * @returns undefined, with nothing left, if archive or sidecar are not what was noted of them
 */
export async function copyPending(
  store: Store,
  { archive, files }: ReusableShard,
  { name, signal }: { readonly name: string; readonly signal?: AbortSignal | undefined },
): Promise<CopiedShard | undefined> {
  const noted = files.find((file) => file.name === archive)
  const notedSidecar = files.find((file) => file.name !== archive)
  if (noted === undefined || notedSidecar === undefined) return undefined
  const hash = createHash('sha256')
  let staged: Staged | undefined
  try {
    const { bytes, sha256 } = await readSmallFile(store, notedSidecar.name + PENDING_SUFFIX, signal)
    if (sha256 !== notedSidecar.sha256) return undefined
    const said = decodeSidecar(bytes)
    const body = store.read(archive + PENDING_SUFFIX, undefined, signal)
    staged = await store.stage(name, hashed(body, hash), signal)
    if (hash.digest('hex') === noted.sha256) {
      const sidecar = encodeSidecar({ ...said, archive: { ...said.archive, name } })
      return { staged, sha256: noted.sha256, sidecar }
    }
  } catch (error) {
    const isDamage = error instanceof SnapError && error.exitCode === EXIT_CODES.E_INTEGRITY
    if (!isDamage) throw error
  }
  await staged?.discard()
  return undefined
}

async function* hashed(
  body: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
}
