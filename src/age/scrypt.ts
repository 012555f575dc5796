/** Passphrases of age files, as the package has them, with the hash of node:crypto: four times faster, and off this thread. */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import type { Identity, Recipient, Stanza } from 'age-encryption'

const hashOf: (
  passphrase: string,
  salt: Uint8Array,
  size: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer> = promisify(scrypt)

/** The word that a stanza begins with. */
export const SCRYPT = 'scrypt'
const LABEL = 'age-encryption.org/v1/scrypt'
const SALT_SIZE = 16
const BLOCK_SIZE = 8
const TAG_SIZE = 16
const SEALED_KEY_SIZE = 32
/** As the age tool has it: a quarter of a GiB of memory. */
export const WORK_FACTOR = 18
/** The most that is done for a file that asks for it: one GiB of memory. */
const MAX_WORK_FACTOR = 20
const CIPHER = 'chacha20-poly1305'
const NONCE = new Uint8Array(12)

let last: Promise<unknown> = Promise.resolve()

/** One at a time, for the memory that each takes. */
function wrappingKey(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const N = 2 ** workFactor
  const maxmem = 2 * 128 * N * BLOCK_SIZE
  const salted = Buffer.concat([Buffer.from(LABEL), salt])
  const next = last.then(() => hashOf(passphrase, salted, 32, { N, r: BLOCK_SIZE, p: 1, maxmem }))
  last = next.catch(() => {})
  return next
}

/**
 * Returns a recipient for whoever knows the passphrase.
 * @param makeStanza the package's constructor
 */
export function scryptRecipient(
  passphrase: string,
  workFactor: number,
  makeStanza: (args: string[], body: Uint8Array) => Stanza,
): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(SALT_SIZE)
      const key = await wrappingKey(passphrase, salt, workFactor)
      const cipher = createCipheriv(CIPHER, key, NONCE, { authTagLength: TAG_SIZE })
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()])
      const text = salt.toString('base64').replaceAll('=', '')
      return [makeStanza([SCRYPT, text, `${workFactor}`], body)]
    },
  }
}

/** Returns the identity of whoever knows the passphrase. */
export function scryptIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const [stanza, ...others] = stanzas
      if (stanza?.args[0] !== SCRYPT) return null
      if (others.length > 0) throw new Error('a passphrase must be the only recipient')
      const { salt, workFactor } = parseStanza(stanza)
      const key = await wrappingKey(passphrase, salt, workFactor)
      const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_SIZE })
      decipher.setAuthTag(stanza.body.subarray(-TAG_SIZE))
      const fileKey = decipher.update(stanza.body.subarray(0, -TAG_SIZE))
      try {
        decipher.final()
        return fileKey
      } catch {
        return null
      }
    },
  }
}

function parseStanza({ args, body }: Stanza): { salt: Uint8Array; workFactor: number } {
  const [, text = '', digits = ''] = args
  const salt = Buffer.from(text, 'base64')
  const isExact = salt.toString('base64').replaceAll('=', '') === text
  const workFactor = Number(digits)
  if (args.length !== 3 || !isExact || salt.length !== SALT_SIZE || !/^[1-9]\d?$/.test(digits)) {
    throw new Error('no stanza of a passphrase')
  }
  if (body.length !== SEALED_KEY_SIZE) throw new Error('no stanza of a passphrase')
  if (workFactor <= MAX_WORK_FACTOR) return { salt, workFactor }
  throw new Error(
    `work factor ${workFactor} of the passphrase, expected at most ${MAX_WORK_FACTOR}`,
  )
}
