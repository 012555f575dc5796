const UNITS = [
  ['w', 604_800_000_000_000n],
  ['d', 86_400_000_000_000n],
  ['h', 3_600_000_000_000n],
  ['m', 60_000_000_000n],
  ['s', 1_000_000_000n],
  ['ms', 1_000_000n],
  ['u', 1000n],
  ['ns', 1n],
] as const

/** Writes a duration of a policy as InfluxQL does, in the largest unit that says it whole: `90d`, `INF` for 0. */
export function formatInfluxDuration(duration: bigint): string {
  if (duration === 0n) return 'INF'
  for (const [unit, size] of UNITS) {
    if (duration % size === 0n) return `${duration / size}${unit}`
  }
  throw new TypeError(`duration ${duration}`)
}
