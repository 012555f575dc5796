import type { ChangedDuration } from '../operations/restore-policies.ts'
import { formatInfluxDuration } from '../protocol/influx-duration.ts'

/** Renders a changed duration for documents. */
export function describeDuration({ was, is, ...policy }: ChangedDuration) {
  return { ...policy, was: formatInfluxDuration(was), is: formatInfluxDuration(is) }
}

/** Says of a policy how it keeps points now, and how it is set back. */
export function durationLine(
  { database, retentionPolicy, was, is, statement }: ChangedDuration,
  where = 'in the backup',
): string {
  const [before, now] = [was, is].map(formatInfluxDuration)
  return `policy ${database}.${retentionPolicy} keeps points ${now}, ${where} ${before}; to set it back: ${statement}`
}
