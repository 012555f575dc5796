import { parseSwitch } from './options.ts'

/**
 * The flags of `influxd backup` and `influxd restore` and our name for each; `undefined` is one that changes nothing
 * here, because sets are always portable and a restore never asks for a stopped server. `stop`, `waldir` and `help`
 * are no flags of these two, but stand in influxd's documentation and in the tools beside it.
 */
const GO_VALUES: Readonly<Record<string, string>> = {
  host: '--host',
  database: '--db',
  db: '--db',
  retention: '--rp',
  rp: '--rp',
  shard: '--shard',
  since: '--since',
  start: '--start',
  end: '--end',
  stop: '--end',
  newdb: '--newdb',
  newrp: '--newrp',
  metadir: '--meta-dir',
  datadir: '--data-dir',
  waldir: '--wal-dir',
}

const GO_SWITCHES: Readonly<Record<string, string | undefined>> = {
  portable: undefined,
  online: undefined,
  'skip-errors': '--skip-errors',
  help: '--help',
}

/** The names of all of them, without a dash. */
export const GO_NAMES: readonly string[] = [...Object.keys(GO_VALUES), ...Object.keys(GO_SWITCHES)]

/** One flag as Go's flag package sees it. */
const FLAG = /^(--?)([a-z][a-z-]*)(?:=(.*))?$/s

/** What a command says of one of its flags (`--host`, `-o`): takes a value, takes none, or has no such flag. */
export type FlagLookup = (flag: string) => 'value' | 'switch' | undefined

interface Step {
  /** What the word becomes. */
  readonly words: readonly string[]
  /** How many words were read. */
  readonly read: 1 | 2
}

function goSwitch(flag: string, name: string, value: string | undefined): Step {
  const on = value === undefined || parseSwitch(value, flag)
  const long = GO_SWITCHES[name]
  return { words: on && long !== undefined ? [long] : [], read: 1 }
}

/** Flags whose empty value influxd takes for a flag that is not there; cron lines rely on it (`-db "$DB"`). */
const EMPTY_IS_ABSENT = new Set([
  '--db',
  '--rp',
  '--shard',
  '--since',
  '--start',
  '--end',
  '--newdb',
  '--newrp',
])

function goValue(long: string, value: string | undefined, next: string | undefined): Step {
  const read = value === undefined && next !== undefined ? 2 : 1
  const given = value ?? next
  if (given === undefined) return { words: [long], read }
  return { words: given === '' && EMPTY_IS_ABSENT.has(long) ? [] : [long, given], read }
}

function step(word: string, next: string | undefined, lookup: FlagLookup): Step {
  const unchanged: Step = { words: [word], read: 1 }
  const [, dashes, name = '', value] = FLAG.exec(word) ?? []
  const declared = lookup(word) ?? (dashes === '--' ? lookup(`--${name}`) : undefined)
  if (declared !== undefined) {
    const takesNext = declared === 'value' && value === undefined && next !== undefined
    return takesNext ? { words: [word, next], read: 2 } : unchanged
  }
  const long = Object.hasOwn(GO_VALUES, name) ? GO_VALUES[name] : undefined
  if (long !== undefined) return goValue(long, value, next)
  if (Object.hasOwn(GO_SWITCHES, name)) return goSwitch(`${dashes}${name}`, name, value)
  return unchanged
}

/**
 * Rewrites the Go spelling of influxd's flags (`-db X`, `-db=X`, `--database X`, `-portable=true`) into the documented
 * one. A flag that the command declares, its value and everything after `--` stay as they are.
 *
 * @param words the words after the command's name
 * @throws SnapError `E_USAGE` for a switch whose value is neither true nor false
 */
export function normalizeGoFlags(words: readonly string[], lookup: FlagLookup): string[] {
  const result: string[] = []
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? ''
    if (word === '--') return result.concat(words.slice(at))
    const { words: became, read } = step(word, words[at + 1], lookup)
    result.push(...became)
    at += read
  }
  return result
}
