import { type FileHandle, open, rm } from 'node:fs/promises'
import { asSnapError, errnoOf, SnapError } from '../errors.ts'
import type { Data } from '../meta/index.ts'
import { compareUsers, type Forgotten, type PlannedUser } from './forgotten.ts'
import type { OpenServer } from './server.ts'

/** A file for new passwords that only its owner can read. */
export interface PasswordFile {
  /** Writes them down, before any is used. */
  readonly write: (
    users: readonly PlannedUser[],
    secrets: ReadonlyMap<string, string>,
  ) => Promise<void>
  /** Lets go of the file, which is removed if nothing was written to it. */
  readonly close: () => Promise<void>
}

/**
 * Makes a file for new passwords: lines of JSON, one for each user.
 * @throws SnapError `E_TARGET_EXISTS` if there is something of that name, `E_DESTINATION`
 */
export async function createPasswordFile(path: string): Promise<PasswordFile> {
  const handle = await openNew(path)
  let isEmpty = true
  return {
    write: async (users, secrets) => {
      const lines = users.map(({ name: user, isAdmin: admin }) =>
        JSON.stringify({ user, password: secrets.get(user), admin }),
      )
      if (lines.length === 0) return
      isEmpty = false
      try {
        await handle.writeFile(lines.map((line) => `${line}\n`).join(''))
        await handle.sync()
      } catch (error) {
        throw asSnapError(error, 'E_DESTINATION', path)
      }
    },
    close: async () => {
      await handle.close()
      if (isEmpty) await rm(path, { force: true })
    },
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw asSnapError(error, 'E_DESTINATION', path)
    throw new SnapError('E_TARGET_EXISTS', `${path} exists already`, {
      hint: 'passwords are written to a new file only: give another name with --users-file',
    })
  }
}

/**
 * Makes the file for new passwords before anything else is made, if users have to be made over HTTP.
 * @throws SnapError `E_USAGE` if it is not named, and what {@link createPasswordFile} throws
 */
export async function passwordsFor(
  { users }: Forgotten,
  data: Data,
  { server, usersFile }: { readonly server: OpenServer; readonly usersFile?: string | undefined },
): Promise<PasswordFile | undefined> {
  if (server.directory !== undefined) return undefined
  if (compareUsers(users, data).missing.length === 0) return undefined
  if (usersFile !== undefined) return await createPasswordFile(usersFile)
  throw new SnapError('E_USAGE', '--users needs --users-file: over HTTP users get new passwords', {
    hint: 'a file that is not there yet; restore into the directories of a stopped server to keep their passwords',
  })
}
