/** A field's value with the type InfluxDB stores it as: `bigint` is an integer, `number` a float. */
export type FieldValue = number | bigint | boolean | string

/** One point, times in nanoseconds since 1970. */
export interface Point {
  readonly measurement: string
  readonly tags: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, FieldValue>>
  readonly time: bigint
}

/** Returns the line of influxd's line protocol for `point`, nanosecond precision. */
export function formatPoint(point: Point): string {
  const measurement = point.measurement.replace(/[, ]/g, '\\$&')
  const tags = Object.entries(point.tags).map(([key, value]) => `,${name(key)}=${name(value)}`)
  const fields = Object.entries(point.fields).map(([key, value]) => `${name(key)}=${text(value)}`)
  return `${measurement}${tags.join('')} ${fields.join(',')} ${point.time}`
}

/** Escapes a tag key, a tag value or a field key. A backslash stands for itself before anything else. */
function name(word: string): string {
  return word.replace(/[,= ]/g, '\\$&')
}

function text(value: FieldValue): string {
  if (typeof value === 'bigint') return `${value}i`
  if (typeof value === 'string') return `"${value.replace(/["\\]/g, '\\$&')}"`
  if (Object.is(value, -0)) return '-0.0'
  return String(value)
}
