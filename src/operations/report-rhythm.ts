import type { ReportSet, Rhythm } from './report-data.ts'

/** So many of the newest sets tell the rhythm, and so few do not. */
const NEWEST = 21
const FEWEST = 4
/** A set is overdue after so many of the usual intervals. */
const OVERDUE = 2
/** Sets that are made at once, by several commands, ms. */
const AT_ONCE = 60_000

/** Tells how often sets were made of late; `sets` are newest first. */
export function rhythmOf(sets: readonly Pick<ReportSet, 'time'>[], now: Date): Rhythm {
  const times = sets.map(({ time }) => Date.parse(time)).filter((time) => time <= now.getTime())
  const newest = times.slice(0, NEWEST)
  const intervals = newest
    .slice(1)
    .map((time, index) => (newest[index] ?? 0) - time)
    .filter((interval) => interval > AT_ONCE)
    .sort((a, b) => a - b)
  const usualMs = intervals[intervals.length >> 1]
  if (usualMs === undefined || newest.length < FEWEST) return {}
  return { usualMs, due: new Date((newest[0] ?? 0) + usualMs) }
}

/** True if a set should have been there long ago. */
export function isOverdue({ usualMs, due }: Rhythm, now: Date): boolean {
  if (usualMs === undefined || due === undefined) return false
  return now.getTime() > due.getTime() + (OVERDUE - 1) * usualMs
}
