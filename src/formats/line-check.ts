/**
 * What influxd's line protocol cannot say. Its parser (models/points.go) has no escape for a line feed or a leading `#`,
 * and takes a backslash before a separator for an escape, also where it belongs to the name. Names of that kind
 * come into a database by other ways than line protocol; writing them would change other lines or names.
 */

const NUL = 0
const TAB = 0x09
const LINE_FEED = 0x0a
const SPACE = 0x20
const QUOTE = 0x22
const HASH = 0x23
const COMMA = 0x2c
const EQUALS = 0x3d
const BACKSLASH = 0x5c

/**
 * Returns why influxd would not read `series key, space, field, equals` back as that series and field, or undefined if
 * it would. The field is escaped.
 */
export function findLineProblem(seriesKey: Uint8Array, field: Uint8Array): string | undefined {
  const [first] = seriesKey
  if (first === undefined) return 'the measurement has no name'
  if (first === HASH) return 'a line that begins with # is a comment'
  if (first === SPACE || first === TAB || first === NUL) return 'a line cannot begin with a space'
  const line = Buffer.concat([seriesKey, Uint8Array.of(SPACE), field, Uint8Array.of(EQUALS)])
  if (endOfKey(line) !== seriesKey.length) return 'the series key reads back as another'
  if (endOfField(line, seriesKey.length + 1) !== line.length - 1) {
    return 'the field name reads back as another'
  }
  if (!staysOneLine(line)) return 'a line feed, or quotes that hide the end of the line'
  return undefined
}

/** Where influxd sees the end of the series key (scanMeasurement, scanTagsKey, scanTagsValue), or undefined. */
function endOfKey(line: Uint8Array): number | undefined {
  if (line[0] === COMMA) return undefined
  let at = scanTo(line, 1, [COMMA, SPACE])
  while (line[at] === COMMA) {
    if (isOneOf(line[at + 1], [SPACE, COMMA, EQUALS])) return undefined
    at = scanTo(line, at + 2, [SPACE, COMMA, EQUALS])
    if (line[at] !== EQUALS || isOneOf(line[at + 1], [SPACE, COMMA])) return undefined
    at = scanTo(line, at + 2, [SPACE, COMMA, EQUALS])
    if (line[at] === EQUALS) return undefined
  }
  return at
}

/** Returns the offset of the first of `stops` that has no backslash before it. */
function scanTo(line: Uint8Array, from: number, stops: readonly number[]): number {
  for (let i = from; i < line.length; i += 1) {
    if (isOneOf(line[i], stops) && line[i - 1] !== BACKSLASH) return i
  }
  return line.length
}

function isOneOf(byte: number | undefined, bytes: readonly number[]): boolean {
  return byte !== undefined && bytes.includes(byte)
}

/** Where influxd sees the equals sign after the field's name (skipWhitespace, scanFields), or undefined. */
function endOfField(line: Uint8Array, start: number): number | undefined {
  if (isOneOf(line[start], [EQUALS, TAB, NUL])) return undefined
  for (let i = start; i < line.length; i += 1) {
    if (line[i] === BACKSLASH) i += 1
    // Reading the point later, influxd looks one byte back instead (scanTo).
    else if (line[i] === EQUALS) return line[i - 1] === BACKSLASH ? undefined : i
    else if (isOneOf(line[i], [COMMA, SPACE])) return undefined
  }
  return undefined
}

/** Whether influxd, looking for the end of the line (scanLine), finds none before the value, and is ready for quotes in it. */
function staysOneLine(line: Uint8Array): boolean {
  let inFields = false
  let quoted = false
  let equals = 0
  let commas = 0
  for (let i = 0; i < line.length; i += 1) {
    const byte = line[i]
    if (byte === BACKSLASH) {
      i += 1
      continue
    }
    if (byte === SPACE) inFields = true
    if (inFields && !quoted && byte === EQUALS) equals += 1
    else if (inFields && !quoted && byte === COMMA) commas += 1
    else if (inFields && byte === QUOTE && equals > commas) quoted = !quoted
    else if (byte === LINE_FEED && !quoted) return false
  }
  return inFields && !quoted && equals > commas
}
