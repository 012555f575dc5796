import { mkdir, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asSnapError } from '../errors.ts'
import { fsyncDirectory } from '../io/durable.ts'
import { statIfThere } from './layout.ts'
import { giveTo, ownerOf } from './owner.ts'

const NEW_DIRECTORY_MODE = 0o755

/**
 * Makes a directory that is missing, with its parents; root gives it to whoever owns the place. Returns those that were made, the
 * highest first; none is left if one of them cannot be made.
 * @throws SnapError `E_DESTINATION`
 */
export async function makeRoot(path: string): Promise<string[]> {
  if ((await statIfThere(path)) !== undefined) return []
  const parent = dirname(path)
  const made = await makeRoot(parent)
  try {
    await mkdir(path, { mode: NEW_DIRECTORY_MODE })
    made.push(path)
    if (process.geteuid?.() === 0) await giveTo(path, await ownerOf(parent))
    await fsyncDirectory(parent)
    return made
  } catch (error) {
    await unmakeRoot(made)
    throw asSnapError(error, 'E_DESTINATION', path)
  }
}

/** Removes what {@link makeRoot} made, as far as nobody has put anything there. */
export async function unmakeRoot(made: readonly string[]): Promise<void> {
  for (const path of made.toReversed()) {
    const isRemoved = await rmdir(path).then(
      () => true,
      () => false,
    )
    if (!isRemoved) return
  }
}
