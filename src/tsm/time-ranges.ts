import { concatBlocks } from './arrange.ts'
import { type Block, sliceTimes, type TimeRange } from './values.ts'

/** Returns the same times in the fewest ranges, in order: none overlaps or touches another. Empty ones are left out. */
export function mergeRanges(ranges: readonly TimeRange[]): TimeRange[] {
  const sorted = ranges
    .filter(({ minTime, maxTime }) => minTime <= maxTime)
    .sort((a, b) => (a.minTime < b.minTime ? -1 : a.minTime > b.minTime ? 1 : 0))
  const merged: TimeRange[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last === undefined || range.minTime > last.maxTime + 1n) merged.push(range)
    else if (range.maxTime > last.maxTime) {
      merged[merged.length - 1] = { minTime: last.minTime, maxTime: range.maxTime }
    }
  }
  return merged
}

/** Says whether two ranges have a time in common. */
export function overlap(a: TimeRange, b: TimeRange): boolean {
  return a.minTime <= b.maxTime && b.minTime <= a.maxTime
}

/** Returns the times of `range` that are in none of `drops`, which are merged, in order. */
export function subtractRanges(range: TimeRange, drops: readonly TimeRange[]): TimeRange[] {
  const kept: TimeRange[] = []
  let minTime = range.minTime
  for (const drop of drops) {
    if (!overlap({ minTime, maxTime: range.maxTime }, drop)) continue
    if (drop.minTime > minTime) kept.push({ minTime, maxTime: drop.minTime - 1n })
    if (drop.maxTime >= range.maxTime) return kept
    minTime = drop.maxTime + 1n
  }
  if (minTime <= range.maxTime) kept.push({ minTime, maxTime: range.maxTime })
  return kept
}

/** Returns the points of an ascending block inside any of `ranges`, which are in order and do not overlap. */
export function filterBlock(block: Block, ranges: readonly TimeRange[]): Block | undefined {
  const parts = ranges
    .map((range) => sliceTimes(block, range))
    .filter(({ times }) => times.length > 0)
  return parts.length === 0 ? undefined : concatBlocks(parts)
}
