import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import { parseSetName } from '../portable/names.ts'
import { LATEST, parseSet } from './set-option.ts'

/** One side of a comparison: a backup, or a server on the network by its `host:port`. */
export type DiffPlace =
  | { readonly from: string; readonly set: string | Date | undefined }
  | { readonly host: string }

const HOST = /^(?:\[[^[\]]+\]|[^/@:\s]+):\d{1,5}$/

/**
 * Reads one side as it is written: `PLACE`, `PLACE@SET`, or `HOST:PORT`. What is there as a path is that path, whatever it
 * looks like.
 * @throws SnapError `E_USAGE` if what follows the `@` is no set
 */
export function parsePlace(text: string, name: string): DiffPlace {
  if (existsSync(text)) return { from: text, set: undefined }
  if (HOST.test(text)) return { host: text }
  const at = text.lastIndexOf('@')
  if (at <= 0) return { from: text, set: undefined }
  const set = parseSet(text.slice(at + 1), name)
  return { from: text.slice(0, at), set: set === LATEST ? undefined : set }
}

/**
 * Reads the second side: as the first, or the name of a set in the first one's place.
 * @returns undefined if it is not given: then it is the server or data directory that the options name
 * @throws SnapError `E_USAGE` if the options name one too
 */
export function parseSecond(
  text: string | undefined,
  first: DiffPlace,
  command: Command,
): DiffPlace | undefined {
  if (text === undefined) return undefined
  for (const name of ['host', 'data-dir', 'influxdb-config']) {
    if (command.getOptionValueSource(camelCase(name)) !== 'cli') continue
    throw new SnapError('E_USAGE', `B is given twice: ${text} and --${name}`)
  }
  const isSet = parseSetName(text) !== undefined && !existsSync(text)
  return isSet && 'from' in first ? { from: first.from, set: text } : parsePlace(text, 'B')
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
