import { SnapError } from '../errors.ts'

/** One figure: its labels as they are written (`{command="backup",target="nightly"}`, or nothing) and its value. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Figures of one name, with what the text says of them. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped'
  readonly samples: readonly Sample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HELP_LINE = new RegExp(`^# HELP (${NAME}) (.*)$`)
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`)
const SAMPLE_LINE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`)
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
const NUMBER = /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|Inf|NaN)$/i
/** What the name of a sample may have behind that of its family. */
const SUFFIXES = { histogram: ['_bucket', '_sum', '_count'], summary: ['', '_sum', '_count'] }

interface OpenFamily extends Family {
  readonly samples: Sample[]
}

/**
 * Reads the text format of Prometheus as this program writes it, strictly: each family with its help and type first and in one
 * piece, no series twice.
 * @param what names the text in messages
 * @throws SnapError `E_FORMAT`
 */
export function parseExposition(text: string, what: string): Family[] {
  const families: OpenFamily[] = []
  const series = new Set<string>()
  if (text !== '' && !text.endsWith('\n')) throw formatError(what, 'its last line does not end')
  for (const [index, line] of text.split('\n').entries()) {
    const refuse = () => formatError(what, `line ${index + 1} is none of it`)
    if (line === '') continue
    const [, named, help = ''] = HELP_LINE.exec(line) ?? []
    if (named !== undefined) {
      if (families.some(({ name }) => name === named)) throw refuse()
      families.push({ name: named, help: unescaped(help), type: 'untyped', samples: [] })
      continue
    }
    const family = families.at(-1)
    if (family === undefined) throw refuse()
    const [, typed, type] = TYPE_LINE.exec(line) ?? []
    if (typed !== undefined) {
      if (typed !== family.name || family.samples.length > 0 || !isType(type)) throw refuse()
      families[families.length - 1] = { ...family, type }
      continue
    }
    const sample = parseSample(line)
    if (sample === undefined || !belongs(sample, family)) throw refuse()
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (series.has(key)) throw refuse()
    series.add(key)
    family.samples.push(sample)
  }
  return families
}

function parseSample(line: string): Sample | undefined {
  const [, name, labelText = '', number = ''] = SAMPLE_LINE.exec(line) ?? []
  const labels = parseLabels(labelText)
  if (name === undefined || labels === undefined || !NUMBER.test(number)) return undefined
  const value = Number(number.replace(/Inf$/i, 'Infinity'))
  return { name, labels, value }
}

function parseLabels(text: string): Record<string, string> | undefined {
  const labels = new Map<string, string>()
  LABEL.lastIndex = 0
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    const [, name, value = ''] = LABEL.exec(text) ?? []
    if (name === undefined || labels.has(name)) return undefined
    labels.set(name, unescaped(value))
  }
  return Object.fromEntries(labels)
}

function isType(text: string | undefined): text is Family['type'] {
  return text !== undefined
}

function belongs({ name }: Sample, family: Family): boolean {
  const { type } = family
  const suffixes = type === 'histogram' || type === 'summary' ? SUFFIXES[type] : ['']
  return suffixes.some((suffix) => name === family.name + suffix)
}

function unescaped(text: string): string {
  return text.replace(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char))
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** Writes families in the text format of Prometheus; one without a sample is left out. */
export function formatExposition(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) =>
      [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`, ...samples.map(formatSample)]
        .map((line) => `${line}\n`)
        .join(''),
    )
    .join('')
}

function formatSample({ name, labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(
    ([label, text]) => `${label}="${escaped(text).replaceAll('"', '\\"')}"`,
  )
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${formatValue(value)}`
}

function formatValue(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}

function formatError(what: string, why: string): SnapError {
  return new SnapError('E_FORMAT', `${what}: no text of Prometheus: ${why}`)
}
