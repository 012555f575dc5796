import { parseSetName } from '../portable/names.ts'
import { parseTime } from './times.ts'

const NANOSECONDS_PER_MILLISECOND = 1_000_000n

/** Reads which set is meant: its name, `latest`, or a time for the newest set not after it. */
export function parseSet(text: string, name: string): string | Date | undefined {
  if (text === 'latest') return undefined
  if (parseSetName(text) !== undefined) return text
  return new Date(Number(parseTime(text, name) / NANOSECONDS_PER_MILLISECOND))
}
