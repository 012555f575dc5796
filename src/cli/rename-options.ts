import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { Renames } from '../operations/restore-names.ts'
import { addSettings, listSetting, type ValueParser, valueSetting } from './options.ts'
import { setSetting } from './set-option.ts'
import { refuseTogether } from './settings.ts'
import { parseNewName } from './values.ts'

const GROUP = 'Restore:'
const OPTIONS = {
  newDatabase: valueSetting({
    flags: '--newdb <name>',
    description: 'the name the database gets',
    parse: parseNewName,
    group: GROUP,
  }),
  databases: listSetting({
    flags: '--rename <from=to>',
    description: 'the name that one of several databases gets (may be given again)',
    parse: parseRename,
    group: GROUP,
  }),
  newRetentionPolicy: valueSetting({
    flags: '--newrp <name>',
    description: 'the name the policy of --rp gets',
    parse: parseNewName,
    group: GROUP,
  }),
  set: setSetting({
    description: 'a set by name, latest, or the newest at a time (default: latest that holds it)',
    group: GROUP,
  }),
}

/** Which set is restored, and under which names. */
export interface RenameOptions extends Renames {
  /** A name or a time; undefined is the newest. */
  readonly set: string | Date | undefined
}

/** Adds `--newdb`, `--rename`, `--newrp` and `--set`. */
export function addRenameOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/**
 * Reads the options of {@link addRenameOptions}.
 * @throws SnapError `E_USAGE` for `--newdb` with `--rename`, or a database that gets two names
 */
export function readRenameOptions(command: Command): RenameOptions {
  refuseTogether(command, 'newdb', ['rename'])
  const pairs = OPTIONS.databases.read(command)
  const databases = new Map(pairs)
  const twice = pairs.find(([from, to]) => databases.get(from) !== to)
  if (twice !== undefined) throw new SnapError('E_USAGE', `--rename gives ${twice[0]} two names`)
  return {
    databases,
    newDatabase: OPTIONS.newDatabase.read(command),
    newRetentionPolicy: OPTIONS.newRetentionPolicy.read(command),
    set: OPTIONS.set.read(command),
  }
}

/** Reads `from=to`; the old name ends at the first equals sign. */
function parseRename(...[text, name]: Parameters<ValueParser<unknown>>): readonly [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), parseNewName(text.slice(at + 1), name)]
  throw new SnapError('E_USAGE', `${name}: expected from=to, got ${JSON.stringify(text)}`)
}
