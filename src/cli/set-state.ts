import type { SetSummary } from '../operations/list.ts'
import type { DrillRecord, VerifyRecord } from '../portable/checks.ts'
import { formatGoTime } from '../protocol/go-time.ts'
import { formatNumberOf } from './format.ts'
import type { Meaning } from './screen.ts'

/** The fields of a set in JSON: times as text. */
export function setDocument({ times, ...set }: SetSummary) {
  return { ...set, ...timesDocument(times) }
}

/** The times of a shard or a set in JSON. */
export function timesDocument(times: SetSummary['times']) {
  return times && { start: formatGoTime(times.start), end: formatGoTime(times.end) }
}

/** What kind of set it is, in one word. */
export function kindOf({ kind, content }: SetSummary): string {
  if (kind === 'stock') return 'stock'
  return content === 'incremental' ? 'incr' : (content ?? 'unreadable')
}

/** Says what older sets of influxd may count for, if there are any. */
export function chainText({ chain }: SetSummary): string | undefined {
  if (chain === undefined) return undefined
  const { sets, oldest } = chain
  const archives =
    sets === 1
      ? 'shards that it lacks are in older sets of influxd'
      : `up to ${sets} sets of influxd have archives of one shard`
  return `${archives}, the oldest ${oldest}: a restore takes from them what this one lacks`
}

/** The state of a set in a word or two: the worst that is known of it first. */
export function stateOf(set: SetSummary): string {
  const marks = [set.encrypted && 'encrypted', set.pinned && 'pinned']
  return [healthOf(set), ...marks].filter(Boolean).join(', ')
}

/** How good a state of {@link stateOf} is. */
export function meaningOf(state: string): Meaning {
  if (state.startsWith('damaged')) return 'bad'
  if (/^(?:incomplete|not checked|part verified)/.test(state)) return 'doubt'
  return 'good'
}

function healthOf({ problem, lost, verified, drilled }: SetSummary): string {
  const failed = [verified, drilled].some((check) => check?.ok === false)
  if (problem !== undefined || failed) return 'damaged'
  if (lost > 0) return 'incomplete'
  if (drilled) return 'drilled'
  if (verified === undefined) return 'not checked'
  return verified.complete ? 'verified' : 'part verified'
}

/** Tells when and how a set was verified. */
export function verifiedText(record: VerifyRecord | undefined): string {
  if (record === undefined) return 'never'
  const { time, ok, deep, complete, onlyHashes, problems } = record
  const how = [
    ...(deep ? ['deep'] : []),
    ...(complete ? [] : ['a part of the archives']),
    ...(onlyHashes ? ['hashes alone'] : []),
  ]
  return `${time}, ${[...how, ok ? 'whole' : formatNumberOf(problems, 'problem')].join(', ')}`
}

/** Tells when a set was drilled, and how that ended. */
export function drilledText(record: DrillRecord | undefined): string {
  if (record === undefined) return 'never'
  const { time, ok, differences, complete } = record
  const how = complete ? [] : ['a selection']
  return `${time}, ${[...how, ok ? 'as in the backup' : formatNumberOf(differences, 'difference')].join(', ')}`
}
