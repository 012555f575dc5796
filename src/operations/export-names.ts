import { createHash } from 'node:crypto'

/** The longest part of a name, in bytes: three of them and a suffix fit into what file systems take. */
const MAX_PART = 64
const HASH_LENGTH = 8
/** Letters and digits of any script, `_` and `-`. */
const PLAIN = /^[\p{L}\p{M}\p{N}_-]$/u

/**
 * Returns a file name of several parts with a dot between them. Everything but letters, digits, `_` and `-` is written as
 * `%` and two hexadecimal digits for each byte, so that no two lists of parts give one name; a part that gets
 * longer than 64 bytes is cut and ends with `~` and the beginning of its SHA-256.
 */
export function exportFileName(parts: readonly string[], suffix: string): string {
  return [...parts.map(encodePart), suffix].join('.')
}

function encodePart(part: string): string {
  let encoded = ''
  let kept = ''
  for (const character of part) {
    encoded += PLAIN.test(character) ? character : percent(character)
    if (Buffer.byteLength(encoded) <= MAX_PART - HASH_LENGTH - 1) kept = encoded
  }
  if (Buffer.byteLength(encoded) <= MAX_PART) return encoded
  const hash = createHash('sha256').update(part).digest('hex').slice(0, HASH_LENGTH)
  return `${kept}~${hash}`
}

function percent(character: string): string {
  const bytes = [...Buffer.from(character)]
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/** Returns `name`, or where one of `taken` is the same but for the case of letters, with `~2`, `~3` before its suffix. */
export function freeName(name: string, suffix: string, taken: Set<string>): string {
  const stem = name.slice(0, name.length - suffix.length - 1)
  let free = name
  for (let i = 2; taken.has(fold(free)); i += 1) free = `${stem}~${i}.${suffix}`
  taken.add(fold(free))
  return free
}

/** As file systems compare that keep the case of letters and do not tell it apart. */
function fold(name: string): string {
  return name.normalize('NFC').toLowerCase()
}
