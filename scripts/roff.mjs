// The little of roff, with the macros of man(7), that manual pages need.

/** Returns plain text as roff shows it. */
export function plain(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&')
    .replaceAll(/[^\x20-\x7e\n]/gu, unicode)
}

function unicode(character) {
  return `\\[u${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`
}

export function bold(text) {
  return `\\fB${plain(text)}\\fR`
}

export function italic(text) {
  return `\\fI${plain(text)}\\fR`
}

/** A term and what it means. */
export function definition(term, about) {
  return `.TP\n${term}\n${about}\n`
}

/** Lines to type, as they stand. */
export function code(text) {
  return `.PP\n.in +4n\n.EX\n${plain(text.trimEnd())}\n.EE\n.in\n`
}

/** A paragraph of Markdown: code and bold text become bold, links their text. */
export function paragraph(markdown) {
  const text = markdown.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\[([^\]]+)\]\([^)]*\)/g, '$1')
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*)/)
  const shown = parts.map((part, i) =>
    i % 2 === 0 ? plain(part) : bold(part.replaceAll(/^[`*]+|[`*]+$/g, '')),
  )
  return `.PP\n${shown.join('')}\n`
}
