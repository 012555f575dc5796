import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import type { OutputMode } from './output.ts'
import { colorAllowed } from './output.ts'
import { parseText } from './values.ts'

const GENERAL_GROUP = 'General:'

const GENERAL = {
  json: switchSetting({
    flags: '--json',
    description: 'one JSON document on stdout, errors as JSON on stderr',
    group: GENERAL_GROUP,
  }),
  quiet: switchSetting({ flags: '--quiet', description: 'say only errors', group: GENERAL_GROUP }),
  debug: switchSetting({
    flags: '--debug',
    description: 'show stacks with errors',
    group: GENERAL_GROUP,
  }),
  color: switchSetting({ flags: '--no-color', description: 'no colours', group: GENERAL_GROUP }),
  config: valueSetting({
    flags: '--config <file>',
    description: 'take options from this TOML file',
    parse: parseText,
    group: GENERAL_GROUP,
  }),
  target: valueSetting({
    flags: '--target <name>',
    description: 'use a target named in the file',
    parse: parseText,
    group: GENERAL_GROUP,
  }),
}

/** Adds what every command has: `--json`, `--quiet`, `--debug`, `--no-color`, `--config` and `--target`. */
export function addGeneralOptions(command: Command): void {
  addSettings(command, GENERAL)
}

/** Reads how a command speaks from the options of {@link addGeneralOptions}. */
export function readOutputMode(command: Command, { stderr, env }: CliContext): OutputMode {
  return {
    json: GENERAL.json.read(command),
    quiet: GENERAL.quiet.read(command),
    debug: GENERAL.debug.read(command),
    color: colorAllowed(stderr, env) && GENERAL.color.read(command),
  }
}
