import type { Influxd } from './influxd.ts'
import { type FieldValue, formatPoint, type Point } from './line-protocol.ts'

/** A retention policy of {@link oddData} and its points in the order in which they are written. */
export interface OddPolicy {
  readonly database: string
  readonly name: string
  /** What follows `CREATE RETENTION POLICY name ON database`; undefined for the one that exists anyway. */
  readonly create: string | undefined
  /** Written one after the other, with a flush of every shard between them. */
  readonly batches: readonly (readonly Point[])[]
}

/** The database with a space in its name. */
export const SPACED = 'odd data'
/** The other one. */
export const PLAIN = 'plain'

const HOUR = 3_600_000_000_000n
/** 2017-07-14T02:40:00.123456789Z */
const T = 1_500_000_000_123_456_789n
/** Before 1970, around it, near the millennium and far ahead: each in a shard of its own under a week per shard. */
const TIMES = [
  -313_000_000_000_000_001n,
  -1n,
  0n,
  1n,
  946_684_799_999_999_999n,
  T,
  4_102_444_800_000_000_001n,
]

const NAMES = [
  'plain',
  'two words',
  'comma,comma',
  'equals=sign',
  'double"quote',
  "single'quote",
  'back\\slash',
  'ünïcødé ✓ 漢字 🎈',
  'all, of="them\\at once',
]

const VALUES: Readonly<Record<string, readonly FieldValue[]>> = {
  float: [0, -0, 0.1, -1.5e-7, 5e-324, Number.MAX_VALUE, 123456789.12345679, 1e21, -42],
  integer: [0n, 1n, -1n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)],
  boolean: [true, false],
  string: [
    '',
    'text',
    'with "quotes"',
    'back\\slash\\',
    'two\nlines',
    'a,b=c d',
    'ünïcødé 🎈',
    'x'.repeat(5000),
  ],
}

/** The data set of the tests: every type, every oddity a name or a value may have; the same each time. */
export function oddData(): OddPolicy[] {
  return [
    { database: SPACED, name: 'autogen', create: undefined, batches: [everything(), rewritten()] },
    {
      database: SPACED,
      name: 'by the hour ✓',
      create: 'DURATION INF REPLICATION 1 SHARD DURATION 1h',
      batches: [hourly(T, 5), hourly(T + HOUR / 2n, 4)],
    },
    { database: PLAIN, name: 'autogen', create: undefined, batches: [dense(3500)] },
    {
      database: PLAIN,
      name: 'century',
      create: 'DURATION 5200w REPLICATION 1 SHARD DURATION 52w DEFAULT',
      batches: [everything().filter(({ time }) => time >= T && time < T * 2n)],
    },
    {
      database: PLAIN,
      name: 'daily',
      create: 'DURATION INF REPLICATION 1 SHARD DURATION 1d',
      batches: [hourly(T, 50)],
    },
  ]
}

/** Creates the databases and retention policies of {@link oddData} and writes its points; the last batch of each stays in the cache. */
export async function loadOddData(server: Influxd): Promise<void> {
  for (const database of [SPACED, PLAIN])
    await server.query(`CREATE DATABASE ${identifier(database)}`)
  for (const { database, name, create, batches } of oddData()) {
    if (create !== undefined) {
      const policy = `${identifier(name)} ON ${identifier(database)}`
      await server.query(`CREATE RETENTION POLICY ${policy} ${create}`)
    }
    for (const [index, points] of batches.entries()) {
      if (index > 0) await server.flush()
      await server.write(points.map(formatPoint), { db: database, rp: name })
    }
  }
}

/** Quotes a name for InfluxQL. */
export function identifier(name: string): string {
  return `"${name.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n')}"`
}

/** Every odd name as measurement, tag key, tag value and field name; every value of every type; every time. */
function everything(): Point[] {
  const named = NAMES.map((name, index) => ({
    measurement: `m ${name}`,
    tags: { [name]: name, 'other tag': NAMES[(index + 1) % NAMES.length] ?? '' },
    fields: {
      [`f ${name}`]: index + 0.5,
      count: BigInt(index),
      [name.toUpperCase()]: `value of ${name}`,
    },
    time: T + BigInt(index),
  }))
  const valued = Object.entries(VALUES).flatMap(([type, values]) =>
    values.map((value, index) => ({
      measurement: 'types',
      tags: { type },
      fields: { [type]: value },
      time: T + BigInt(index) * 1_000_000_007n,
    })),
  )
  const timed = TIMES.map((time, index) => ({
    measurement: 'times',
    tags: {},
    fields: { i: BigInt(index), f: index / 3, b: index % 2 === 0, s: `at ${time}` },
    time,
  }))
  return [...named, ...valued, ...timed]
}

/** Some of {@link everything} again with new values, some new points between, latest first. */
function rewritten(): Point[] {
  const again = TIMES.map((time) => ({
    measurement: 'times',
    tags: {},
    fields: { i: time, s: 'again' },
    time,
  }))
  const between = TIMES.map((time) => ({
    measurement: 'times',
    tags: { late: 'yes' },
    fields: { f: -0.25 },
    time: time - 1000n,
  }))
  return [...again, ...between].reverse()
}

/** One point every 20 minutes and series for `hours` hours. */
function hourly(start: bigint, hours: number): Point[] {
  return Array.from({ length: hours * 3 }, (_, index) => index).flatMap((index) =>
    ['a b', 'c,d'].map((host) => ({
      measurement: 'load avg',
      tags: { host, zone: 'zürich' },
      fields: {
        one: Math.sqrt(index),
        up: BigInt(index) * 1_000_003n,
        ok: index % 3 === 0,
        note: `#${index}`,
      },
      time: start + BigInt(index) * (HOUR / 3n),
    })),
  )
}

/** Series of several blocks each, in steps that are even, uneven and big. */
function dense(count: number): Point[] {
  return Array.from({ length: count }, (_, index) => ({
    measurement: 'dense',
    tags: { step: index % 2 === 0 ? 'even' : 'odd' },
    fields: {
      value: Math.sin(index) * 1000,
      total: BigInt(index) ** 3n,
      flag: index % 7 < 3,
      state: `state ${index % 11}`,
    },
    time:
      T + BigInt(index) * 1_000_000_000n + BigInt(index % 2 === 0 ? 0 : (index * 7919) % 1_000_003),
  }))
}
