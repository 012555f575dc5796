/** Times from `start` to `end`, both inclusive, nanoseconds since the epoch. */
export interface ExactRange {
  readonly start: bigint
  readonly end: bigint
}

/** Returns the times that are in both ranges; one that is undefined is all times. */
export function intersect(
  a: ExactRange | undefined,
  b: ExactRange | undefined,
): ExactRange | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return {
    start: a.start > b.start ? a.start : b.start,
    end: a.end < b.end ? a.end : b.end,
  }
}
