import type { Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { messageOf, SnapError } from '../errors.ts'

/** The variables that hold secrets. There is no option of the same name, since all the machine can read a command line. */
export const SECRET_VARIABLES = {
  httpPassword: 'INFLUX_SNAP_HTTP_PASSWORD',
  passphrase: 'INFLUX_SNAP_PASSPHRASE',
  toPassword: 'INFLUX_SNAP_TO_PASSWORD',
  token: 'INFLUX_SNAP_TOKEN',
  toToken: 'INFLUX_SNAP_TO_TOKEN',
} as const

/** No key file comes near this, in bytes. */
const MAX_SIZE = 1024 * 1024
/** Everybody on the machine may read it. */
const READABLE_BY_ALL = 0o004

/** A file with keys, as it was read. */
export interface SecretFile {
  readonly text: string
  /** True if everybody on the machine may read it. */
  readonly isOpenToAll: boolean
}

/**
 * Reads a small file of text that an option names.
 * @param option names it in messages; what is in the file never is in them
 * @throws SnapError `E_USAGE` if it cannot be read or is absurdly long
 */
export async function readSecretFile(option: string, path: string): Promise<SecretFile> {
  const where = `${option} ${path}`
  try {
    const handle = await open(path, 'r')
    try {
      const stats = await handle.stat()
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_SIZE + 1), 0, MAX_SIZE + 1)
      if (bytesRead > MAX_SIZE) throw new Error(`more than ${MAX_SIZE} bytes`)
      return { text: buffer.toString('utf8', 0, bytesRead), isOpenToAll: isOpenToAll(stats) }
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw new SnapError('E_USAGE', `${where}: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Reads a secret: the first line of a file.
 * @param option what named the file, for messages
 * @throws SnapError `E_USAGE` if it cannot be read
 */
export async function readSecret(option: string, path: string): Promise<string> {
  const { text } = await readSecretFile(option, path)
  return text.split(/\r?\n/, 1)[0] ?? ''
}

/** A pipe, as a shell makes it of `<(...)`, is nobody else's. */
function isOpenToAll(stats: Stats): boolean {
  return stats.isFile() && (stats.mode & READABLE_BY_ALL) !== 0 && process.platform !== 'win32'
}
