import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import { addSettings, listSetting, type ValueParser } from './options.ts'
import { parseText } from './values.ts'

const GROUP = 'Selection:'
const OPTIONS = {
  measurements: listSetting({
    flags: '--measurement <name>',
    description: 'only this measurement (may be given again)',
    parse: parseText,
    group: GROUP,
  }),
  tags: listSetting({
    flags: '--tag <key=value>',
    description: 'only series with this tag (may be given again: any value of each key)',
    parse: parseTag,
    group: GROUP,
  }),
}

/** Which series are meant. Empty lists mean all. */
export interface PointOptions {
  readonly measurements: readonly string[]
  readonly tags: readonly { readonly key: string; readonly value: string }[]
}

/** Adds `--measurement` and `--tag`. */
export function addPointOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Reads the options of {@link addPointOptions}. */
export function readPointOptions(command: Command): PointOptions {
  return {
    measurements: OPTIONS.measurements.read(command),
    tags: OPTIONS.tags.read(command),
  }
}

/** Reads `key=value`; the key ends at the first equals sign. */
function parseTag(...[text, name]: Parameters<ValueParser<unknown>>): PointOptions['tags'][number] {
  const at = text.indexOf('=')
  if (at > 0 && at < text.length - 1) return { key: text.slice(0, at), value: text.slice(at + 1) }
  throw new SnapError('E_USAGE', `${name}: expected key=value, got ${JSON.stringify(text)}`)
}
