import type { Command } from 'commander'
import type { KeepRules } from '../operations/retention.ts'
import { addSettings, valueSetting } from './options.ts'
import { parseDuration } from './times.ts'
import { wholeNumber } from './values.ts'

const GROUP = 'Prune:'
const MAX_COUNT = 1_000_000
const countSetting = (flags: string, description: string) =>
  valueSetting({ flags, description, parse: wholeNumber(1, MAX_COUNT), group: GROUP })

const KEEP = {
  last: countSetting('--keep-last <n>', 'keep the newest n sets'),
  hourly: countSetting('--keep-hourly <n>', 'keep the newest set of each of the newest n hours'),
  daily: countSetting('--keep-daily <n>', 'the same of days (UTC, as all periods)'),
  weekly: countSetting('--keep-weekly <n>', 'the same of weeks, from Monday on'),
  monthly: countSetting('--keep-monthly <n>', 'the same of months'),
  yearly: countSetting('--keep-yearly <n>', 'the same of years'),
  within: valueSetting({
    flags: '--keep-within <time>',
    description: 'keep what is at most so much older than the newest set (7d)',
    parse: parseDuration,
    group: GROUP,
  }),
}

const LIMITS = {
  minSets: valueSetting({
    flags: '--min-sets <n>',
    description: 'good sets of each database that are left in any case',
    parse: wholeNumber(1, MAX_COUNT),
    fallback: '1',
    group: GROUP,
  }),
}

/** The rules that say which sets stay. */
export interface KeepOptions {
  readonly keep: KeepRules
  readonly minSets: number
}

/** Adds the options that say which sets stay. */
export function addKeepOptions(command: Command): void {
  addSettings(command, KEEP)
  addSettings(command, LIMITS)
}

/** Reads what {@link addKeepOptions} added. */
export function readKeepOptions(command: Command): KeepOptions {
  const keep = {
    last: KEEP.last.read(command),
    hourly: KEEP.hourly.read(command),
    daily: KEEP.daily.read(command),
    weekly: KEEP.weekly.read(command),
    monthly: KEEP.monthly.read(command),
    yearly: KEEP.yearly.read(command),
    within: KEEP.within.read(command),
  }
  return { keep, minSets: LIMITS.minSets.read(command) }
}
