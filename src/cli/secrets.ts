import { readFile } from 'node:fs/promises'
import { messageOf, SnapError } from '../errors.ts'

/**
 * Reads a secret: the first line of a file.
 * @param option what named the file, for messages
 * @throws SnapError `E_USAGE` if it cannot be read
 */
export async function readSecret(option: string, path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8')
    return text.split(/\r?\n/, 1)[0] ?? ''
  } catch (error) {
    throw new SnapError('E_USAGE', `${option} ${path}: ${messageOf(error)}`, { cause: error })
  }
}
