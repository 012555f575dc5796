import { createHash } from 'node:crypto'
import type { Decrypter, Encrypter, Identity, Recipient } from 'age-encryption'
import { asSnapError, messageOf, SnapError } from '../errors.ts'
import { SCRYPT, scryptIdentity, scryptRecipient, WORK_FACTOR } from './scrypt.ts'

/** Whom files are encrypted to. */
export interface Recipients {
  /**
   * Names each without giving it away to anybody who does not know it: `passphrase`, or the first 16 hexadecimal digits of the
   * SHA-256 of the recipient. Ascending.
   */
  readonly names: readonly string[]
  /** Makes the header of one file; of several, where making one is dear. */
  readonly seal: () => Promise<SealedKey>
}

/** A file key, and the header that gives it to those who may have it. */
export interface SealedKey {
  readonly header: Uint8Array
  readonly fileKey: Uint8Array
}

/** What files are decrypted with. */
export interface Identities {
  /**
   * Takes the key of a file out of its header.
   * @throws SnapError `E_KEY` if it is for somebody else, `E_FORMAT` if it is no header, or damaged
   */
  readonly open: (header: Uint8Array, what: string) => Promise<Uint8Array>
}

/** More recipients than this make headers longer than are read. */
const MAX_RECIPIENTS = 64
const NAME_LENGTH = 16
/** Files whose keys are remembered. */
const KNOWN_FILES = 4096
/** Bytes of an encrypted nothing after the header: nonce and tag. */
const EMPTY_PAYLOAD = 32

const load = () => import('age-encryption')

/**
 * Returns the recipients of the lines of a file of recipients, or of one line.
 * @param where names the lines in messages
 * @throws SnapError `E_USAGE` naming the line
 */
export function parseRecipientLines(text: string, where: string): string[] {
  return linesOf(text).map(({ line, number }) => {
    const at = `${where}, line ${number}`
    if (/^AGE-SECRET-KEY-/i.test(line)) {
      throw new SnapError('E_USAGE', `${at}: a secret key, expected a recipient (age1...)`, {
        hint: 'age-keygen -y prints the recipient of a secret key, which stays where it is',
      })
    }
    if (/^age1[0-9a-z]+$/.test(line)) return line
    const hint = line.startsWith('ssh-') ? 'age-keygen makes keys that snap knows' : undefined
    throw new SnapError('E_USAGE', `${at}: no recipient of age (age1...)`, { hint })
  })
}

/**
 * Returns the secret keys of an identity file. Keys are never in messages.
 * @throws SnapError `E_USAGE` naming the line
 */
export function parseIdentityLines(text: string, where: string): string[] {
  if (text.startsWith('age-encryption.org/') || text.startsWith('-----BEGIN AGE')) {
    throw new SnapError('E_USAGE', `${where} is encrypted itself`, {
      hint: 'decrypt it first: age -d; or use --passphrase-file for sets made with a passphrase',
    })
  }
  return linesOf(text).map(({ line, number }) => {
    if (/^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]+$/.test(line)) return line
    const what = line.startsWith('AGE-PLUGIN-') ? 'a key of a plugin' : 'no secret key of age'
    throw new SnapError('E_USAGE', `${where}, line ${number}: ${what} (AGE-SECRET-KEY-...)`, {
      hint: 'age-keygen makes keys that snap knows',
    })
  })
}

function linesOf(text: string): { line: string; number: number }[] {
  return text
    .split('\n')
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'))
}

/**
 * Returns recipients that anyone of can decrypt.
 * @throws SnapError `E_USAGE` if there are none, too many, or one is none
 */
export async function recipientsOf(lines: readonly string[]): Promise<Recipients> {
  const distinct = [...new Set(lines)]
  if (distinct.length === 0) throw new SnapError('E_USAGE', 'no recipient to encrypt to')
  if (distinct.length > MAX_RECIPIENTS) {
    const message = `${distinct.length} recipients to encrypt to, expected at most ${MAX_RECIPIENTS}`
    throw new SnapError('E_USAGE', message)
  }
  const age = await load()
  const encrypter = new age.Encrypter()
  for (const line of distinct) {
    try {
      encrypter.addRecipient(line)
    } catch (error) {
      throw new SnapError('E_USAGE', `${line}: no recipient of age: ${messageOf(error)}`)
    }
  }
  const nameOf = (line: string) =>
    createHash('sha256').update(line).digest('hex').slice(0, NAME_LENGTH)
  return { names: distinct.map(nameOf).sort(), seal: sealer(encrypter) }
}

/**
 * Returns whoever knows the passphrase as the only recipient. All files get one header, and with it one file key: only so is
 * the passphrase hashed once. Their payloads have keys of their own nevertheless, by the nonce of each file
 * (docs/formats/encrypted-set.md says why that is sound).
 */
export async function passphraseRecipient(
  passphrase: string,
  workFactor = WORK_FACTOR,
): Promise<Recipients> {
  const age = await load()
  const encrypter = new age.Encrypter()
  const makeStanza = (args: string[], body: Uint8Array) => new age.Stanza(args, body)
  encrypter.addRecipient(scryptRecipient(passphrase, workFactor, makeStanza))
  const seal = sealer(encrypter)
  let sealed: Promise<SealedKey> | undefined
  return {
    names: ['passphrase'],
    seal() {
      sealed ??= seal()
      return sealed
    },
  }
}

function sealer(encrypter: Encrypter): Recipients['seal'] {
  let seen: Uint8Array | undefined
  const witness: Recipient = {
    wrapFileKey(fileKey) {
      seen = Uint8Array.from(fileKey)
      return []
    },
  }
  encrypter.addRecipient(witness)
  const seal = async () => {
    const file = await encrypter.encrypt(new Uint8Array())
    if (seen === undefined) throw new SnapError('E_FAILED', 'age made no file key')
    return { header: file.subarray(0, file.length - EMPTY_PAYLOAD), fileKey: seen }
  }
  // One at a time: a key must come with its own header.
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const next = last.then(seal)
    last = next.catch(() => {})
    return next
  }
}

/** What files can be decrypted with. */
export interface Secrets {
  /** `AGE-SECRET-KEY-...` */
  readonly keys?: readonly string[] | undefined
  readonly passphrase?: string | undefined
}

/**
 * Returns identities that are tried one after the other.
 * @throws SnapError `E_USAGE` if a key is none
 */
export async function identitiesOf({ keys = [], passphrase }: Secrets): Promise<Identities> {
  const age = await load()
  const makeDecrypter = () => {
    const decrypter = new age.Decrypter()
    for (const key of keys) decrypter.addIdentity(key)
    if (passphrase !== undefined) decrypter.addIdentity(scryptIdentity(passphrase))
    return decrypter
  }
  try {
    makeDecrypter()
  } catch {
    throw new SnapError('E_USAGE', 'a secret key of age is not whole: its check sum is wrong')
  }
  const known = new Map<string, Promise<Uint8Array>>()
  return {
    // A file is opened more than once, and a passphrase takes its time.
    open(header, what) {
      const hash = createHash('sha256').update(header).digest('hex')
      const key = known.get(hash) ?? openHeader(makeDecrypter(), header, what)
      known.set(hash, key)
      key.catch(() => known.delete(hash))
      for (const oldest of known.keys()) {
        if (known.size <= KNOWN_FILES) break
        known.delete(oldest)
      }
      return key
    },
  }
}

/** Returns the identity of nobody: it opens no file, and says what would. */
export const NOBODY: Identities = {
  open: async (header, what) => {
    const age = await load()
    return await openHeader(new age.Decrypter(), header, what, 'no key was given')
  },
}

async function openHeader(
  decrypter: Decrypter,
  header: Uint8Array,
  what: string,
  why = 'none of the given keys opens it',
): Promise<Uint8Array> {
  let wanted: readonly string[] | undefined
  const stranger: Identity = {
    unwrapFileKey(stanzas) {
      wanted = stanzas.map(({ args: [type = ''] }) => type)
      return null
    },
  }
  decrypter.addIdentity(stranger)
  try {
    return await decrypter.decryptHeader(header)
  } catch (error) {
    if (wanted !== undefined) throw wrongKey(what, why, wanted)
    throw asSnapError(error, 'E_FORMAT', `${what}: age header`)
  }
}

function wrongKey(what: string, why: string, wanted: readonly string[]): SnapError {
  const isPassphrase = wanted.includes(SCRYPT)
  const types = [...new Set(wanted)].map((type) => JSON.stringify(type)).join(', ')
  const count = wanted.length === 1 ? 'one key' : `any of ${wanted.length} keys`
  return new SnapError('E_KEY', `${what} is encrypted: ${why}`, {
    hint: isPassphrase
      ? 'it wants a passphrase: --passphrase-file or INFLUX_SNAP_PASSPHRASE'
      : `it wants ${count} of type ${types}: --identity FILE`,
  })
}
