import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { ClientOptions, ClientTls } from '../client/index.ts'
import { asSnapError, messageOf, SnapError } from '../errors.ts'
import { parseTokens } from '../protocol/index.ts'

/** How a server is spoken with in TLS: files in PEM, and a token or the file that holds it. */
export interface ClientSecurity {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly serverName?: string | undefined
  /** Its first token counts. */
  readonly tokenFile?: string | undefined
  readonly token?: string | undefined
}

/**
 * Reads the files and returns what a client needs of them.
 * @throws SnapError `E_USAGE` if one cannot be read, or is not what it should be
 */
export async function readClientSecurity(
  security: ClientSecurity,
): Promise<Pick<ClientOptions, 'tls' | 'token'>> {
  const { caFile, certFile, keyFile, serverName, tokenFile } = security
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map(readSetting))
  check({ ca }, caFile)
  check({ cert, key }, [certFile, keyFile].join(' and '))
  const tokens = await readSetting(tokenFile)
  const [fromFile] = tokens ? parseTokens(tokens.toString(), tokenFile ?? '') : []
  return { tls: { ca, cert, key, serverName }, token: security.token ?? fromFile }
}

async function readSetting(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', path)
  }
}

function check({ ca, cert, key }: ClientTls, files: string | undefined): void {
  const given = Object.entries({ ca, cert, key }).filter(([, pem]) => pem !== undefined)
  try {
    if (ca?.length === 0) throw new Error('the file is empty')
    createSecureContext(Object.fromEntries(given))
  } catch (error) {
    throw new SnapError('E_USAGE', `${files}: cannot be used for TLS: ${messageOf(error)}`, {
      cause: error,
      hint: 'they are PEM files; the key is that of the first certificate and has no passphrase',
    })
  }
}
