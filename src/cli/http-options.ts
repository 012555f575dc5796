import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { HttpPlace } from '../operations/server-http.ts'
import type { CliContext } from './context.ts'
import { addSettings, valueSetting } from './options.ts'
import { readSecret, SECRET_VARIABLES } from './secrets.ts'
import { parseText } from './values.ts'

const GROUP = 'HTTP API:'
const HTTP = {
  url: valueSetting({
    flags: '--http <url>',
    description: 'of the same server (default: port 8086 of its host, if it proves to be the same)',
    parse: parseText,
    group: GROUP,
  }),
  user: valueSetting({
    flags: '--http-user <name>',
    description: 'its admin; the password is in INFLUX_SNAP_HTTP_PASSWORD',
    parse: parseText,
    group: GROUP,
  }),
  passwordFile: valueSetting({
    flags: '--http-password-file <file>',
    description: 'or in this file, on its first line',
    parse: parseText,
    group: GROUP,
  }),
}

/** Adds `--http`, `--http-user` and `--http-password-file`. */
export function addHttpOptions(command: Command): void {
  addSettings(command, HTTP)
}

/**
 * Reads the options of {@link addHttpOptions}.
 * @throws SnapError `E_USAGE` for a file that cannot be read, or a password without a user
 */
export async function readHttpOptions(
  command: Command,
  { env }: Pick<CliContext, 'env'>,
): Promise<HttpPlace> {
  const url = HTTP.url.read(command)
  const user = HTTP.user.read(command)
  const file = HTTP.passwordFile.read(command)
  if (file !== undefined && user === undefined) {
    throw new SnapError('E_USAGE', '--http-password-file goes with --http-user')
  }
  const password =
    file === undefined
      ? env[SECRET_VARIABLES.httpPassword]
      : await readSecret('--http-password-file', file)
  return { url, user, password }
}
