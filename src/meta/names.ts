/** Says whether a name is one, or is matched by a pattern in which `*` stands for any characters and `?` for one. */
export function matchesName(pattern: string, name: string): boolean {
  if (pattern === name) return true
  if (!isPattern(pattern)) return false
  const source = [...pattern].map((character) => wildcardOf(character))
  return new RegExp(`^${source.join('')}$`, 'su').test(name)
}

/** Says whether a text may stand for several names. */
export function isPattern(text: string): boolean {
  return /[*?]/.test(text)
}

function wildcardOf(character: string): string {
  if (character === '*') return '.*'
  return character === '?' ? '.' : character.replace(/[\\^$.|+()[\]{}/-]/, '\\$&')
}

/** Returns the names that are meant, in their own order. A name that is there as it stands is no pattern. */
export function expandNames(patterns: readonly string[], names: readonly string[]): string[] {
  const exact = new Set(patterns.filter((pattern) => names.includes(pattern)))
  const others = patterns.filter((pattern) => !exact.has(pattern))
  return names.filter(
    (name) => exact.has(name) || others.some((pattern) => matchesName(pattern, name)),
  )
}
