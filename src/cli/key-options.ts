import type { Command } from 'commander'
import type { Identities, Recipients } from '../age/index.ts'
import { SnapError } from '../errors.ts'
import type { LockedPlace } from '../operations/locked-store.ts'
import type { CliContext } from './context.ts'
import { addSettings, listSetting, valueSetting } from './options.ts'
import type { Run } from './run.ts'
import { readSecret, readSecretFile, SECRET_VARIABLES } from './secrets.ts'
import { refuseTogether } from './settings.ts'
import { type StoreWork, withStore } from './store-options.ts'
import { parseText } from './values.ts'

const GROUP = 'Encryption:'
const ENCRYPT = {
  encryptTo: listSetting({
    flags: '--encrypt-to <recipient>',
    description: 'encrypt the set to this recipient of age (age1...), or to all in this file',
    parse: parseText,
    group: GROUP,
  }),
}
const DECRYPT = {
  identity: listSetting({
    flags: '--identity <file>',
    description: 'the secret keys that encrypted sets are read with, as age-keygen writes them',
    parse: parseText,
    group: GROUP,
  }),
  passphraseFile: valueSetting({
    flags: '--passphrase-file <file>',
    description: 'or the passphrase, on its first line; INFLUX_SNAP_PASSPHRASE may hold it too',
    parse: parseText,
    group: GROUP,
  }),
}

/** Holds a passphrase itself; there is no option for it, because all the machine can read a command line. */

/** Adds `--identity` and `--passphrase-file`, for commands that read sets. */
export function addIdentityOptions(command: Command): void {
  addSettings(command, DECRYPT)
}

/** Adds the same and `--encrypt-to`, for commands that write sets. */
export function addEncryptionOptions(command: Command): void {
  addSettings(command, ENCRYPT)
  addSettings(command, DECRYPT)
}

/** True if `--encrypt-to` is given. */
export function hasRecipients(command: Command): boolean {
  return ENCRYPT.encryptTo.read(command).length > 0
}

/**
 * Returns whom `--encrypt-to` names; undefined if nobody.
 * @throws SnapError `E_USAGE` for what is no recipient
 */
export async function readRecipients(command: Command): Promise<Recipients | undefined> {
  const given = ENCRYPT.encryptTo.read(command)
  if (given.length === 0) return undefined
  const { recipientsOf } = await import('../age/index.ts')
  const lines = await Promise.all(given.map(recipientLines))
  return await recipientsOf(lines.flat())
}

/**
 * Returns the same, or whoever knows the passphrase, where nothing is read with it. Recipients count before a passphrase
 * that only a variable holds.
 * @throws SnapError `E_USAGE`
 */
export async function readRecipientsOrPassphrase(
  command: Command,
  { env }: Pick<CliContext, 'env'>,
): Promise<Recipients | undefined> {
  refuseTogether(command, 'encrypt-to', ['passphrase-file'])
  const recipients = await readRecipients(command)
  if (recipients !== undefined) return recipients
  const passphrase = await readPassphrase(command, env)
  if (passphrase === undefined) return undefined
  const { passphraseRecipient } = await import('../age/index.ts')
  return await passphraseRecipient(passphrase)
}

/** A recipient, or the file that is named. */
async function recipientLines(text: string): Promise<string[]> {
  const { parseRecipientLines } = await import('../age/index.ts')
  const isKey = /^(age1|AGE-SECRET-KEY-)/i.test(text)
  if (isKey) return parseRecipientLines(text, '--encrypt-to')
  const file = await readSecretFile('--encrypt-to', text)
  const lines = parseRecipientLines(file.text, text)
  if (lines.length > 0) return lines
  throw new SnapError('E_USAGE', `--encrypt-to ${text}: no recipient in it`)
}

/**
 * Does the work of a command in a store as it is for whoever has the keys that the options name, locked as its use needs.
 * @throws SnapError `E_USAGE` for a file that cannot be read or holds no key, and what {@link withStore} throws
 */
export async function withOpenedStore<T>(
  command: Command,
  { context, ...where }: StoreWork & { readonly context: Pick<CliContext, 'env'> },
  work: (place: LockedPlace) => Promise<T>,
): Promise<T> {
  const identities = await readIdentities(command, { context, run: where.run })
  const { OpenedStore } = await import('../operations/opened-store.ts')
  return await withStore(command, where, ({ store, signal }) =>
    work({ store: new OpenedStore(store, identities), signal }),
  )
}

/**
 * Returns what encrypted sets are read with; undefined if nothing was given.
 * @throws SnapError `E_USAGE` for a file that cannot be read or holds no key
 */
export async function readIdentities(
  command: Command,
  {
    context,
    run,
  }: { readonly context: Pick<CliContext, 'env'>; readonly run: Pick<Run, 'progress'> },
): Promise<Identities | undefined> {
  const paths = DECRYPT.identity.read(command)
  const passphrase = await readPassphrase(command, context.env)
  if (paths.length === 0 && passphrase === undefined) return undefined
  const { identitiesOf } = await import('../age/index.ts')
  const keys: string[] = []
  for (const path of paths) keys.push(...(await keysIn(path, run)))
  return await identitiesOf({ keys, passphrase })
}

async function keysIn(path: string, { progress }: Pick<Run, 'progress'>): Promise<string[]> {
  const { parseIdentityLines } = await import('../age/index.ts')
  const file = await readSecretFile('--identity', path)
  if (file.isOpenToAll) {
    const message = `${path}: everybody on this machine can read these keys: chmod 600`
    progress({ type: 'note', level: 'warning', message })
  }
  const keys = parseIdentityLines(file.text, path)
  if (keys.length > 0) return keys
  throw new SnapError('E_USAGE', `--identity ${path}: no key in it`)
}

async function readPassphrase(
  command: Command,
  env: CliContext['env'],
): Promise<string | undefined> {
  const path = DECRYPT.passphraseFile.read(command)
  if (path === undefined) return env[SECRET_VARIABLES.passphrase] || undefined
  const passphrase = await readSecret('--passphrase-file', path)
  if (passphrase !== '') return passphrase
  throw new SnapError('E_USAGE', `--passphrase-file ${path}: its first line is empty`)
}
