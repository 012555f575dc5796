/** The cheapest way from one word to another, swaps of neighbours counting once. */
function editDistance(from: string, to: string): number {
  let before: number[] = []
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      const substitute = (previous[column - 1] ?? 0) + (same ? 0 : 1)
      const remove = (previous[column] ?? 0) + 1
      const insert = (current[column - 1] ?? 0) + 1
      const swap = swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      current.push(Math.min(substitute, remove, insert, swap))
    }
    before = previous
    previous = current
  }
  return previous[to.length] ?? 0
}

/** Returns the one of `candidates` that `word` was probably meant to be, or `undefined` if none is near. */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  // At least one letter has to be right, and of four letters three.
  const allowed = Math.max(1, Math.floor(word.length * 0.4))
  let bestDistance = Math.min(3, allowed, word.length - 1) + 1
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(word.slice(0, 64), candidate)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** So many names at most stand in a hint. */
const MAX_NAMES = 20

/** Returns a hint for a name that is not there: the one that was probably meant, and those that are there. */
export function namesHint(there: readonly string[], wanted: string | undefined): string {
  if (there.length === 0) return 'there are none'
  const near = wanted === undefined ? undefined : suggest(wanted, there)
  const shown = there.slice(0, MAX_NAMES).join(', ')
  const more = there.length > MAX_NAMES ? `, and ${there.length - MAX_NAMES} more` : ''
  return `${near === undefined ? '' : `did you mean ${near}? `}there are: ${shown}${more}`
}
