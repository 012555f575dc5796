import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { asSnapError, messageOf, SnapError } from '../errors.ts'
import { parseTokens } from '../protocol/index.ts'

/** The files that a {@link Door} is made from, by their paths. */
export interface DoorFiles {
  /** Our certificate in PEM, and those between it and its authority. */
  readonly certFile: string
  /** Its key in PEM. */
  readonly keyFile: string
  /** The authorities in PEM that may sign clients' certificates. Clients without one are refused. */
  readonly clientCaFile?: string | undefined
  /** Tokens, one a line. Clients without one of them are refused. */
  readonly tokenFile?: string | undefined
}

/** The half of TLS that comes from files. */
export type Identity = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>

async function readSetting(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', path)
  }
}

/**
 * Reads certificate, key and authorities.
 * @throws SnapError `E_USAGE` if a file cannot be read or is none of these, or the key is of another certificate
 */
export async function readIdentity({
  certFile,
  keyFile,
  clientCaFile,
}: DoorFiles): Promise<Identity> {
  const identity = { cert: await readSetting(certFile), key: await readSetting(keyFile) }
  checkIdentity(identity, `${certFile} and ${keyFile}: no certificate and its key`)
  if (clientCaFile === undefined) return identity
  const ca = await readSetting(clientCaFile)
  certificateIn(ca, clientCaFile)
  return { ...identity, ca }
}

function checkIdentity(identity: Identity, what: string): void {
  try {
    createSecureContext(identity)
  } catch (error) {
    throw new SnapError('E_USAGE', `${what}: ${messageOf(error)}`, {
      cause: error,
      hint: 'both are PEM files; the key is that of the first certificate and has no passphrase',
    })
  }
}

/** OpenSSL takes a file without certificates for no authorities at all, and would then refuse everybody. */
function certificateIn(pem: Uint8Array, path: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', `${path}: no certificate in PEM`)
  }
}

/** A token that is accepted, as its SHA-256: equal in length, whatever the token's. */
type Digest = Buffer

/**
 * Reads the tokens that are accepted.
 * @throws SnapError `E_USAGE` if the file cannot be read or has none
 */
export async function readTokens(path: string): Promise<readonly Digest[]> {
  return parseTokens((await readSetting(path)).toString(), path).map(digestOf)
}

function digestOf(token: string): Digest {
  return createHash('sha256').update(token).digest()
}

/** Tells whether `token` is one of `accepted`, in a time that does not say which, or how much of it was right. */
export function isAccepted(token: string, accepted: readonly Digest[]): boolean {
  const digest = digestOf(token)
  return accepted.filter((other) => timingSafeEqual(digest, other)).length > 0
}

const FOR_OTHERS = 0o077

/** Returns what is doubtful about the files and no reason to refuse them, one line each. */
export async function doubtsAbout(files: DoorFiles): Promise<readonly string[]> {
  const { certFile, keyFile, clientCaFile, tokenFile } = files
  const doubts: string[] = []
  for (const path of [certFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]) {
    const { validTo } = certificateIn(await readSetting(path), path)
    if (Date.parse(validTo) < Date.now()) doubts.push(`${path}: expired on ${validTo}`)
  }
  for (const path of [keyFile, ...(tokenFile === undefined ? [] : [tokenFile])]) {
    const { mode } = await stat(path)
    if ((mode & FOR_OTHERS) === 0) continue
    const rights = (mode & 0o777).toString(8)
    doubts.push(`${path}: mode ${rights} lets others than its owner at it; make it 600`)
  }
  return doubts
}
