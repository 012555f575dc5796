import { type Setting, type SettingSpec, valueSetting } from './options.ts'
import { parseTime } from './times.ts'

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** The word for the newest set. */
export const LATEST = 'latest'

/** The beginning of the name of a set, from its year on. */
const NAME_PREFIX = /^\d{4,8}(?:T\d{0,6}Z?)?$/

/** Reads the name of a set or its beginning, a time, or {@link LATEST}. */
export function parseSet(text: string, name: string): string | Date {
  if (text === LATEST || NAME_PREFIX.test(text)) return text
  return new Date(Number(parseTime(text, name) / NANOSECONDS_PER_MILLISECOND))
}

/**
 * Declares `--set`, which reads as the name of a set, as a time for the newest set not after it, or as undefined for
 * the newest.
 */
export function setSetting(spec: Omit<SettingSpec, 'flags'>): Setting<string | Date | undefined> {
  const setting = valueSetting({ ...spec, flags: '--set <set>', parse: parseSet })
  const read: typeof setting.read = (command) => {
    const set = setting.read(command)
    return set === LATEST ? undefined : set
  }
  return { ...setting, read }
}
