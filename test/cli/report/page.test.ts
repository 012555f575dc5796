import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { escapeHtml } from '../../../src/cli/report/html.ts'
import type {
  CoverState,
  Report,
  ReportDatabase,
  ReportPolicy,
  ReportSet,
} from '../../../src/operations/report-data.ts'
import { MORNING, pageOf, reportOn, variedSets } from './samples.ts'

const DAY = 86_400_000
const { dir } = await variedSets()
const varied = await reportOn(dir, { retention: { keep: { daily: 7 }, minSets: 1 } })

/** Replaces each text of a report; keys, and the words that have a meaning, stay. */
function withTexts(found: Report, change: (text: string) => string): Report {
  const fixed = /^(?:kind|severity|state|content|completeness|fate|rule|time)$/
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return fixed.test(key) ? value : change(value)
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (value === null || typeof value !== 'object' || value instanceof Date) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]))
  }
  return walk(found, '') as Report
}

/** The elements of a page with the names of their attributes, in order. */
function skeleton(page: string): string[] {
  const tags = page.match(/<[^>]*>/g) ?? []
  return tags.map((tag) => tag.replaceAll(/="[^"]*"/g, ''))
}

/** An anomaly of each kind. */
const everything: Report = {
  ...varied,
  clusterId: 7n,
  retention: { kept: 1, removed: [], freed: 0, refused: 'a "reason"' },
  anomalies: [
    ...varied.anomalies,
    ...(
      [
        'damaged',
        'headless',
        'check-failed',
        'lost-shards',
        'overdue',
        'database-overdue',
        'not-verified',
        'never-held',
        'not-drilled',
        'unconfirmed',
        'long-chain',
        'stock-chain',
        'unfinished',
      ] as const
    ).map((kind) => ({
      kind,
      severity: 'note' as const,
      items: [
        { set: 'a set', database: 'a database', message: 'a message', time: MORNING, count: 3 },
        { database: 'a database', retentionPolicy: 'a policy', count: 1 },
      ],
      count: 14,
    })),
  ],
}

const hostile = fc.oneof(
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onload='x",
    '--><!--',
    ']]></style><style>',
    '&amp;&lt;',
    '\u202eevil\u0000\u001b[31m',
    '$&`',
  ),
  fc.string({ unit: 'binary' }),
)

describe('the page', () => {
  it('is the same for the same report', () => {
    expect(pageOf(varied)).toBe(pageOf(varied))
  })

  it('draws by the minute what is of one day', () => {
    const sets = varied.sets
      .filter(({ comparable }) => comparable)
      .slice(0, 2)
      .map((set, at) => ({ ...set, time: `2026-11-21T0${7 - at}:30:00.000Z` }))
    const page = pageOf({ ...varied, sets })
    expect(page).toMatch(/<text x="0%?"[^>]*>2026-11-21 06:30<\/text>/)
    expect(page).toMatch(/<text x="100%"[^>]*>2026-11-21 07:30<\/text>/)
    expect(pageOf(varied)).toMatch(/<text x="100%"[^>]*>\d{4}-\d\d-\d\d<\/text>/)
  })

  it('says what it is as of, for whom and by what', () => {
    const page = pageOf(varied)
    expect(page).toContain('<title>Nightly backups</title>')
    expect(page).toContain('<time datetime="2026-11-21T08:00:00.000Z">2026-11-21 08:00</time>')
    expect(page).toContain('influx-snap 1.2.3')
    expect(page).toContain(escapeHtml(dir))
  })

  it('has nothing to load and nothing to run', () => {
    const page = pageOf(everything)
    expect(page).not.toMatch(/<(?:script|iframe|img|object|embed|form|video|audio|base)\b/i)
    expect(page).not.toMatch(/\son\w+=|\sstyle=|@import|@font-face/i)
    const links = [...page.matchAll(/(?<!-)\b(?:href|src|url\()=?["'(]?([^"')]*)/g)].map(
      ([, to]) => to,
    )
    expect(links.filter((to) => !/^(?:#|data:image\/svg)/.test(to ?? ''))).toEqual([])
    expect(page).toMatch(/Content-Security-Policy" content="default-src &#39;none&#39;; style-src/)
  })

  test.prop([hostile], { numRuns: process.env['SLOW'] === '1' ? 300 : 25 })(
    'escapes everything from outside',
    (text) => {
      // Names stay different from each other.
      const names = new Map<string, number>()
      const number = (old: string) => {
        if (!names.has(old)) names.set(old, names.size)
        return names.get(old)
      }
      const tame = pageOf(
        withTexts(everything, (old) => `x${number(old)}`),
        'x',
      )
      const page = pageOf(
        withTexts(everything, (old) => `${text}${number(old)}`),
        text,
      )
      expect(skeleton(page)).toEqual(skeleton(tame))
    },
  )

  it('says of an empty stretch, one set and unknown numbers what they are', () => {
    const [newest] = varied.sets
    const { durationMs: _, points: __, series: ___, ...bare } = newest as ReportSet
    const page = pageOf({
      ...varied,
      ...{
        sets: [bare],
        databases: [],
        anomalies: [],
        checks: {},
        rhythm: {},
        retention: undefined,
      },
    })
    expect(page).toContain('Backups are in order')
    expect(page).toContain('Nothing stands out.')
    expect(page).toContain('too few sets to know how often')
    expect(page.match(/No set here records it/g)).toHaveLength(3)
    expect(page).toContain('one set')
  })

  it('says how numbers have changed in words that fit', () => {
    const at = (day: number, bytes: number): ReportSet => ({
      ...(varied.sets[0] as ReportSet),
      ...{ time: new Date(MORNING.getTime() + day * DAY).toISOString(), bytes, points: bytes },
    })
    const changes = (...values: readonly number[]) => {
      const page = pageOf({ ...varied, sets: values.map((value, day) => at(-day, value)) })
      return /<p class="now">(.*?)<\/p>/.exec(page)?.[1]
    }
    expect(changes(1024, 512)).toBe('1.0 KiB <small>+100% in 24h</small>')
    expect(changes(512, 1024)).toBe('512 B <small>−50% in 24h</small>')
    expect(changes(512, 512)).toBe('512 B <small>unchanged in 24h</small>')
    expect(changes(5120, 7, 512)).toBe('5.0 KiB <small>10 times as much in 2d 00h</small>')
    expect(changes(5, 0)).toBe('5 B <small>in 24h</small>')
    expect(changes(0)).toBe('0 B <small>one set</small>')
  })

  it('says what prune would do, and that durations are unknown', () => {
    const of = (retention: Report['retention'], databases = varied.databases) =>
      pageOf({ ...varied, databases, retention })
    expect(of({ kept: 3, removed: [], freed: 0 })).toContain('nothing, by the rules')
    const removed = Array.from({ length: 25 }, (_, at) => `set${at}`)
    expect(of({ kept: 3, removed, freed: 5 })).toContain('<li>and 5 more</li>')
    expect(of({ kept: 0, removed: [], freed: 0, refused: 'why' })).toContain('anything. why')
    const [weather] = varied.databases.filter(({ name }) => name === 'weather')
    expect(of(undefined, weather && [weather])).toContain('no metastore can be read')
    const yearly = varied.databases.map((one) => ({
      ...one,
      policies: one.policies.filter(({ name }) => name === 'yearly'),
    }))
    expect(of(undefined, yearly)).toContain('No policy drops any of these shards')
  })

  it('stays below 2 MB for 10,000 shards and 1,000 sets', () => {
    const started = performance.now()
    const page = pageOf(huge())
    expect(Buffer.byteLength(page)).toBeLessThan(2_000_000)
    expect(Buffer.byteLength(page)).toBeGreaterThan(200_000)
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(page).toContain('smaller policies are in the table alone')
    expect(page).toContain('Each column is several sets.')
  })
})

/** A report on 200 databases with 3 policies each, the names as long as they get. */
function huge(): Report {
  const name = (at: number) => `database_${'long_'.repeat(20)}${at}`
  const names = Array.from({ length: 200 }, (_, at) => name(at))
  const sets = Array.from(
    { length: 1000 },
    (_, at): ReportSet => ({
      ...{ set: `2024${String(at).padStart(12, '0')}`, kind: 'snap', content: 'incremental' },
      time: new Date(MORNING.getTime() - at * DAY).toISOString(),
      // No two neighbours alike: nothing can be drawn together.
      databases: names.filter((_, index) => (index + Math.floor(at / 9)) % 2 === 0),
      ...{ shards: 10_000, bytes: 1e12 - at * 1e8, stored: 1e9 + at, shared: 1e11, lost: 0 },
      ...{ encrypted: false, pinned: at % 3 === 0, comparable: true, sharesWith: at % 40 },
      ...{ durationMs: 1e6 + at, points: 1e12 - at, series: 1e6 + at, fate: 'keep' },
      reasons: [{ rule: 'daily' }, { rule: 'weekly' }],
    }),
  )
  const states: readonly CoverState[] = ['proven', 'held', 'older', 'lost']
  const policy = (at: number): ReportPolicy => ({
    ...{
      name: `policy_${at}_${'x'.repeat(60)}`,
      durationMs: 90 * DAY,
      shards: 240,
      bytes: 1e9 + at,
    },
    states: { proven: 60, held: 60, older: 60, lost: 60 },
    ...{ start: new Date(0), end: new Date(480 * DAY) },
    spans: Array.from({ length: 240 }, (_, index) => ({
      ...{ start: new Date(index * 2 * DAY), end: new Date((index * 2 + 1) * DAY) },
      ...{ shards: 1, state: states[index % 4] ?? 'held', sets: 900, newest: sets[0]?.set },
    })),
    holes: Array.from({ length: 10 }, (_, index) => ({
      ...{ start: new Date((index * 2 + 1) * DAY), end: new Date((index * 2 + 2) * DAY) },
    })),
    holeCount: 239,
    drops: { at: MORNING, start: new Date(0), end: new Date(DAY) },
    dropped: 3,
  })
  const databases = names.map(
    (one, at): ReportDatabase => ({
      ...{ name: one, sets: 500, newest: sets[0]?.set ?? '', bytes: 3e9 + at },
      policies: [policy(at * 3), policy(at * 3 + 1), policy(at * 3 + 2)],
    }),
  )
  return { ...everything, sets, databases }
}
