import { stat } from 'node:fs/promises'
import { asSnapError } from '../errors.ts'

/** Something that is made of files, and made anew once one of them has changed. */
export class WatchedFiles<T> {
  readonly #paths: readonly string[]
  readonly #load: () => Promise<T>
  #seen = ''
  #value: T | undefined

  /** @param load makes it; called again after a failure as after a change */
  constructor(paths: readonly string[], load: () => Promise<T>) {
    this.#paths = paths
    this.#load = load
  }

  /**
   * Returns what the files make now.
   * @throws what `load` throws; SnapError `E_USAGE` if a file is not there
   */
  async get(): Promise<T> {
    // Looked at before they are read: a change in between is then found the next time.
    const seen = (await Promise.all(this.#paths.map(signatureOf))).join('\n')
    if (this.#value !== undefined && seen === this.#seen) return this.#value
    this.#value = await this.#load()
    this.#seen = seen
    return this.#value
  }
}

async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${ino} ${size} ${mtimeNs}`
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', path)
  }
}
