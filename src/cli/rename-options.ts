import type { Command } from 'commander'
import { addSettings, valueSetting } from './options.ts'
import { setSetting } from './set-option.ts'
import { parseNewName } from './values.ts'

const GROUP = 'Restore:'
const OPTIONS = {
  newDatabase: valueSetting({
    flags: '--newdb <name>',
    description: 'the name the database gets',
    parse: parseNewName,
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
export interface RenameOptions {
  readonly newDatabase: string | undefined
  readonly newRetentionPolicy: string | undefined
  /** A name or a time; undefined is the newest. */
  readonly set: string | Date | undefined
}

/** Adds `--newdb`, `--newrp` and `--set`. */
export function addRenameOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Reads the options of {@link addRenameOptions}. */
export function readRenameOptions(command: Command): RenameOptions {
  return {
    newDatabase: OPTIONS.newDatabase.read(command),
    newRetentionPolicy: OPTIONS.newRetentionPolicy.read(command),
    set: OPTIONS.set.read(command),
  }
}
