import { SnapError } from '../errors.ts'
import type { Selection } from './selection.ts'

/** New names for what is restored. */
export interface Renames {
  /** The name that the one database gets. */
  readonly newDatabase?: string | undefined
  /** New names of databases by their old ones. */
  readonly databases?: ReadonlyMap<string, string> | undefined
  /** The name that the one selected policy gets. */
  readonly newRetentionPolicy?: string | undefined
}

/** Returns the name that a database gets. */
export function newNameOf({ newDatabase, databases }: Renames, database: string): string {
  return newDatabase ?? databases?.get(database) ?? database
}

/**
 * Checks that new names and databases go together: each old name is there, and no two databases get one name.
 * @throws SnapError `E_USAGE`
 */
export function checkNames(
  names: readonly string[],
  { retentionPolicy }: Selection,
  renames: Renames,
): void {
  const { newDatabase, databases = new Map<string, string>(), newRetentionPolicy } = renames
  if (newDatabase !== undefined && names.length > 1) {
    const message = `--newdb ${newDatabase} is one name for ${names.length} databases`
    throw new SnapError('E_USAGE', message, {
      hint: `say which with --db, or name each with --rename: ${names.join(', ')}`,
    })
  }
  for (const [from, to] of databases) {
    if (names.includes(from)) continue
    throw new SnapError('E_USAGE', `--rename ${from}=${to}: ${from} is not restored`, {
      hint: `databases that are: ${names.join(', ')}`,
    })
  }
  const taken = new Map<string, string>()
  for (const name of names) {
    const newName = newNameOf(renames, name)
    const other = taken.get(newName)
    if (other !== undefined)
      throw new SnapError('E_USAGE', `--rename: ${other} and ${name} both become ${newName}`)
    taken.set(newName, name)
  }
  if (newRetentionPolicy !== undefined && retentionPolicy === undefined) {
    throw new SnapError('E_USAGE', `--newrp ${newRetentionPolicy} needs --rp`, {
      hint: 'say which policy gets the new name',
    })
  }
}
