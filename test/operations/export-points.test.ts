import { writeFileSync } from 'node:fs'
import { appendFile, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { backup } from '../../src/operations/backup.ts'
import {
  type ExportPointsOptions,
  type ExportPointsResult,
  exportPoints,
} from '../../src/operations/export-points.ts'
import { locateExport } from '../../src/operations/export-target.ts'
import { openSource } from '../../src/operations/open-source.ts'
import { openStore } from '../../src/operations/open-store.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import type { ShardSource } from '../../src/operations/shard-source.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { type Line, parseLines } from '../formats/line-protocol-parser.ts'
import { parseCsv } from '../helpers/csv.ts'
import type { Directories } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { DAY, openDirectories, points, type ShardFixture, writeDirectories } from './shards.ts'

const at = (day: bigint, n: bigint) => day * DAY + n

/** Two policies, two shards in one of them; overwrites, a tombstone, names that lie between others of one measurement. */
const SHARDS: readonly ShardFixture[] = [
  {
    ...{ id: 2n, database: 'db', retentionPolicy: 'rp', day: 20n },
    files: [
      {
        points: {
          'cpu#!~#v': points('integer', [[at(20n, 1n), 7n]]),
          'cpu+x#!~#v': points('boolean', [[at(20n, 1n), true]]),
          'cpu,host=a#!~#v': points('integer', [[at(20n, 5n), 1n]]),
          'cpu,host=b#!~#note': points('string', [[at(20n, 5n), 'say "hi", \\']]),
          'cpu,host=b#!~#v': points('unsigned', [[at(20n, 5n), 2n ** 64n - 1n]]),
        },
      },
    ],
  },
  {
    ...{ id: 1n, database: 'db', retentionPolicy: 'rp', day: 10n },
    files: [
      {
        points: {
          'cpu,host=a#!~#v': points('float', [
            [at(10n, 1n), 0.5],
            [at(10n, 2n), 1.5],
            [at(10n, 3n), 2.5],
          ]),
        },
        deleted: [{ key: 'cpu,host=a#!~#v', time: at(10n, 1n) }],
      },
      { points: { 'cpu,host=a#!~#v': points('float', [[at(10n, 2n), -1]]) } },
    ],
  },
  {
    ...{ id: 3n, database: 'other db', retentionPolicy: 'a.b', day: 10n },
    files: [{ points: { 'mem#!~#free': points('integer', [[at(10n, 0n), -5n]]) } }],
  },
]

/** What {@link SHARDS} holds as lines, in the order of an export. */
const LINES = [
  `cpu,host=a v float -1 ${at(10n, 2n)}`,
  `cpu,host=a v float 2.5 ${at(10n, 3n)}`,
  `cpu v integer 7 ${at(20n, 1n)}`,
  `cpu+x v boolean true ${at(20n, 1n)}`,
  `cpu,host=a v integer 1 ${at(20n, 5n)}`,
  `cpu,host=b note string say "hi", \\ ${at(20n, 5n)}`,
  `cpu,host=b v unsigned ${2n ** 64n - 1n} ${at(20n, 5n)}`,
]
const OTHER = `mem free integer -5 ${at(10n, 0n)}`

const say = ({ seriesKey, field, type, value, time }: Line) =>
  `${seriesKey} ${field} ${type} ${value} ${time}`
const lines = (text: string) => parseLines(text.replace(/^#.*\n/gm, '')).map(say)

const opened = async (location: string) => openStore(location)

interface Run extends Partial<Omit<ExportPointsOptions, 'source'>> {
  readonly target: string
  readonly stream?: Writable
}

async function run(
  source: ShardSource,
  { target, stream, ...options }: Run,
): Promise<ExportPointsResult> {
  return await exportPoints({
    source,
    place: await locateExport(target, { stream: stream ?? new Writable(), openStore: opened }),
    format: 'lp',
    selection: {},
    series: {},
    gzip: false,
    ddl: false,
    tempDir: await tempDir('spool'),
    attempts: 1,
    signal: new AbortController().signal,
    ...options,
  })
}

/** A source with some of it changed. */
function changed(source: ShardSource, changes: Partial<ShardSource>): ShardSource {
  return {
    name: source.name,
    readMetastore: (...args) => source.readMetastore(...args),
    readShard: (...args) => source.readShard(...args),
    openShard: (...args) => source.openShard(...args),
    wasDropped: (...args) => source.wasDropped(...args),
    damage: (...args) => source.damage(...args),
    losses: () => source.losses(),
    ...changes,
  }
}

class Text extends Writable {
  readonly chunks: Buffer[] = []
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk)
    done()
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}

async function withSource<T>(
  dirs: Directories,
  by: 'files' | 'wire',
  work: (source: ShardSource) => Promise<T>,
): Promise<T> {
  const { source, close } = await openDirectories(dirs, by)
  try {
    return await work(source)
  } finally {
    await close()
  }
}

async function backedUp(dirs: Directories, compression: 'gzip' | 'none' = 'gzip'): Promise<string> {
  const dir = await tempDir('set')
  await withSource(dirs, 'files', (source) =>
    backup({
      ...{ source, store: new LocalStore(dir), selection: {}, compression, version: '0.0.0' },
      ...{ jobs: 2, attempts: 1, tempDir: dir, skipErrors: false, dryRun: false },
      signal: new AbortController().signal,
    }),
  )
  return dir
}

async function fromBackup<T>(from: string, work: (source: ShardSource) => Promise<T>): Promise<T> {
  const signal = new AbortController().signal
  const { source, close } = await openSource({
    store: openStore(from),
    set: undefined,
    selection: {},
    signal,
  })
  try {
    return await work(source)
  } finally {
    await close()
  }
}

const dirs = await writeDirectories(SHARDS)

describe('the places that points come from', () => {
  const selection = { databases: ['db'] }
  it.each(['files', 'wire'] as const)('gives each point once from the %s', async (by) => {
    const stream = new Text()
    const result = await withSource(dirs, by, (source) =>
      run(source, { target: '-', stream, selection }),
    )
    expect(lines(stream.text)).toEqual(LINES)
    expect(result).toMatchObject({ files: [], points: LINES.length, bytes: stream.text.length })
    expect(result.measurements).toEqual([
      { database: 'db', retentionPolicy: 'rp', measurement: 'cpu', points: 6 },
      { database: 'db', retentionPolicy: 'rp', measurement: 'cpu+x', points: 1 },
    ])
    expect(result.shards.map(({ shardId, points: count }) => [shardId, count])).toEqual([
      [1n, 2],
      [2n, 5],
    ])
  })

  it.each(['gzip', 'none'] as const)('gives the same from a backup (%s)', async (compression) => {
    const set = await backedUp(dirs, compression)
    const stream = new Text()
    await fromBackup(set, (source) => run(source, { target: '-', stream, selection }))
    expect(lines(stream.text)).toEqual(LINES)
  })

  it('copies nothing out of archives with seek points', async () => {
    const set = await backedUp(dirs)
    const stream = new Text()
    const tempDir = '/nonexistent'
    await fromBackup(set, (source) => run(source, { target: '-', stream, selection, tempDir }))
    expect(lines(stream.text)).toEqual(LINES)
  })

  it('cuts a range to the nanosecond, and leaves shards outside alone', async () => {
    const range = { start: at(10n, 3n), end: at(20n, 1n) }
    const expected = LINES.slice(1, 4)
    for (const by of ['files', 'wire'] as const) {
      const stream = new Text()
      const events: ProgressEvent[] = []
      const progress = (event: ProgressEvent) => void events.push(event)
      await withSource(dirs, by, (source) =>
        run(source, { target: '-', stream, range, progress, selection }),
      )
      expect(lines(stream.text)).toEqual(expected)
      expect(events[0]).toEqual({ type: 'plan', task: 'export', shards: 2 })
    }
    const stream = new Text()
    const set = await backedUp(dirs)
    await fromBackup(set, (source) =>
      run(source, { target: '-', stream, range: { start: at(10n, 4n), end: at(11n, 0n) - 1n } }),
    ).catch((error) => expect(error).toMatchObject({ code: 'E_NOTHING_MATCHED' }))
    expect(stream.text).toBe('')
  })

  it('chooses by measurement and tag', async () => {
    const chosen = async (series: ExportPointsOptions['series']) => {
      const stream = new Text()
      await withSource(dirs, 'files', (source) => run(source, { target: '-', stream, series }))
      return lines(stream.text)
    }
    expect(await chosen({ measurements: ['cpu+x'] })).toEqual([LINES[3]])
    expect(await chosen({ measurements: ['cpu+x', 'mem'] })).toEqual([LINES[3], OTHER])
    expect(await chosen({ tags: [{ key: 'host', value: 'b' }] })).toEqual(LINES.slice(5))
  })
})

describe('the files', () => {
  it('are one for each policy in a directory, with safe names', async () => {
    const target = join(await tempDir('out'), 'made/here/')
    const result = await withSource(dirs, 'files', (source) => run(source, { target }))
    const names = ['db.rp.lp', 'other%20db.a%2Eb.lp']
    expect((await readdir(target)).sort()).toEqual(names)
    expect(result.files.map(({ name }) => name)).toEqual(names)
    const text = await readFile(join(target, names[1] ?? ''), 'utf8')
    expect(text).toBe(
      `# DML\n# CONTEXT-DATABASE:other db\n# CONTEXT-RETENTION-POLICY:a.b\nmem free=-5i ${at(10n, 0n)}\n`,
    )
  })

  it('are not made for policies without points', async () => {
    const target = `${await tempDir('out')}/`
    const series = { measurements: ['mem'] }
    await withSource(dirs, 'files', (source) => run(source, { target, series, gzip: true }))
    expect(await readdir(target)).toEqual(['other%20db.a%2Eb.lp.gz'])
  })

  it('are one with all policies, gzipped, with statements, if asked for', async () => {
    const target = join(await tempDir('out'), 'all.lp.gz')
    await withSource(dirs, 'files', (source) => run(source, { target, gzip: true, ddl: true }))
    const text = gunzipSync(await readFile(target)).toString()
    const [head = '', body = ''] = text.split('# DML\n')
    expect(head).toBe(
      '# DDL\nCREATE DATABASE "db" WITH NAME "rp"\nCREATE DATABASE "other db" WITH NAME "a.b"\n',
    )
    expect(lines(body)).toEqual([...LINES, OTHER])
    expect(body.match(/^# CONTEXT-DATABASE:.*$/gm)).toHaveLength(2)
  })

  it('are CSV with one header', async () => {
    const target = join(await tempDir('out'), 'all.csv')
    await withSource(dirs, 'files', (source) => run(source, { target, format: 'csv' }))
    const [head, ...rows] = parseCsv(await readFile(target, 'utf8'))
    expect(head).toEqual('database,retention_policy,name,tags,field,type,time,value'.split(','))
    expect(rows.map(([, , , , , type, , value]) => `${type} ${value}`)).toEqual([
      'float -1',
      'float 2.5',
      'integer 7',
      'boolean true',
      'integer 1',
      'string say "hi", \\',
      `unsigned ${2n ** 64n - 1n}`,
      'integer -5',
    ])
    expect(rows.at(-1)).toEqual([
      'other db',
      'a.b',
      'mem',
      '',
      'free',
      'integer',
      `${at(10n, 0n)}`,
      '-5',
    ])
  })

  it('are never written over others, nor beside a run that writes them', async () => {
    const dir = await tempDir('out')
    const target = join(dir, 'x.lp')
    await writeFile(target, 'mine')
    await expect(
      locateExport(target, { stream: new Writable(), openStore: opened }),
    ).rejects.toMatchObject({
      code: 'E_TARGET_EXISTS',
    })
    await writeFile(join(dir, 'db.rp.lp'), 'mine')
    const into = (name: string) =>
      withSource(dirs, 'files', (source) => run(source, { target: name }))
    await expect(into(dir)).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
    await writeFile(join(dir, 'y.lp.pending'), '')
    await expect(into(join(dir, 'y.lp'))).rejects.toMatchObject({
      code: 'E_LOCKED',
      message: expect.stringContaining('y.lp.pending'),
    })
    expect((await readdir(dir)).sort()).toEqual(['db.rp.lp', 'x.lp', 'y.lp.pending'])
  })
})

describe('Parquet', () => {
  const rowsOf = async (path: string) => {
    const file = await asyncBufferFromFile(path)
    const { schema } = await parquetMetadataAsync(file)
    const columns = schema.slice(1).map(({ name }) => name)
    return { columns, rows: await parquetReadObjects({ file }) }
  }

  it('has a file for each measurement, its columns those of all shards', async () => {
    const target = `${await tempDir('out')}/`
    for (const by of ['files', 'wire'] as const) {
      const into = `${target}${by}/`
      const result = await withSource(dirs, by, (source) =>
        run(source, { target: into, format: 'parquet' }),
      )
      expect(result.points).toBe(LINES.length + 1)
      expect((await readdir(into)).sort()).toEqual([
        'db.rp.cpu%2Bx.parquet',
        'db.rp.cpu.parquet',
        'other%20db.a%2Eb.mem.parquet',
      ])
      const { columns, rows } = await rowsOf(join(into, 'db.rp.cpu.parquet'))
      expect(columns).toEqual(['time', 'host', 'note', 'v_float', 'v_integer', 'v_unsigned'])
      const cells = rows.map(({ time: _, ...row }) =>
        Object.fromEntries(
          Object.entries(row).filter(([, value]) => value !== null && value !== undefined),
        ),
      )
      expect(cells).toEqual([
        { host: 'a', v_float: -1 },
        { host: 'a', v_float: 2.5 },
        { v_integer: 7n },
        { host: 'a', v_integer: 1n },
        { host: 'b', note: 'say "hi", \\', v_unsigned: 2n ** 64n - 1n },
      ])
    }
  })

  it('goes into one file, or a stream, if it is one measurement', async () => {
    const stream = new Text()
    const target = join(await tempDir('out'), 'mem.parquet')
    const series = { measurements: ['mem'] }
    const options = { series, format: 'parquet' } as const
    await withSource(dirs, 'files', (source) => run(source, { target, ...options }))
    await withSource(dirs, 'files', (source) => run(source, { target: '-', stream, ...options }))
    expect((await rowsOf(target)).rows).toEqual([expect.objectContaining({ free: -5n })])
    expect(Buffer.concat(stream.chunks)).toEqual(await readFile(target))
  })

  it('is refused in one file for several, by their names', async () => {
    const dir = await tempDir('out')
    const refused = withSource(dirs, 'files', (source) =>
      run(source, { target: join(dir, 'x.parquet'), format: 'parquet' }),
    )
    await expect(refused).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('3 are selected: cpu of db.rp, cpu+x of db.rp, mem of'),
    })
    expect(await readdir(dir)).toEqual([])
  })

  it('holds little of many measurements at a time', async () => {
    const count = 150_000
    const times = Array.from({ length: count }, (_, i) => at(1n, BigInt(i)))
    const many = { type: 'float', times, values: times.map(Number) } as const
    const files = [
      {
        points: Object.fromEntries(
          Array.from({ length: 9 }, (_, i) => [`m${i}#!~#v`, many] as const),
        ),
      },
    ]
    const shard = { id: 1n, database: 'db', retentionPolicy: 'rp', day: 1n, files }
    const target = `${await tempDir('out')}/`
    const wide = await writeDirectories([shard])
    const result = await withSource(wide, 'files', (source) =>
      run(source, { target, format: 'parquet' }),
    )
    expect(result.points).toBe(9 * count)
    const { rows } = await rowsOf(join(target, 'db.rp.m8.parquet'))
    expect(rows).toHaveLength(count)
  })

  it('leaves out what appears while it runs', async () => {
    const growing = await writeDirectories(SHARDS)
    const events: ProgressEvent[] = []
    const target = `${await tempDir('out')}/`
    await withSource(growing, 'files', async (source) => {
      let opened = 0
      const late: ShardSource = changed(source, {
        openShard: async (...args: Parameters<ShardSource['openShard']>) => {
          opened += 1
          if (opened === SHARDS.length + 1) await replaceShard(growing)
          return await source.openShard(...args)
        },
      })
      const progress = (event: ProgressEvent) => void events.push(event)
      await run(late, { target, format: 'parquet', progress })
    })
    const notes = events.flatMap((event) => (event.type === 'note' ? [event.message] : []))
    expect(notes).toContain('3 fields of series appeared while the export ran, and are not in it')
    const { rows } = await rowsOf(join(target, 'other%20db.a%2Eb.mem.parquet'))
    expect(rows).toEqual([expect.objectContaining({ free: 6n })])
  })

  it('says when strings were changed', async () => {
    const files = [
      {
        points: {
          'm#!~#s': points('string', [
            [1n, 'a\xff'],
            [2n, 'fine'],
          ]),
        },
      },
    ]
    const bad = await writeDirectories([
      { id: 1n, database: 'd', retentionPolicy: 'r', day: 0n, files },
    ])
    const target = join(await tempDir('out'), 'm.parquet')
    const result = await withSource(bad, 'files', (source) =>
      run(source, { target, format: 'parquet' }),
    )
    expect(result).toMatchObject({ points: 2, leftOut: [{ measurement: 'm', keys: 0, points: 1 }] })
  })
})

/** Gives shard 3 a newer file with a new tag, a new field and a new measurement. */
async function replaceShard(directories: Directories): Promise<void> {
  const later = await writeDirectories([
    {
      ...{ id: 3n, database: 'other db', retentionPolicy: 'a-b', day: 10n },
      files: [
        {
          points: {
            'disk#!~#free': points('integer', [[at(10n, 0n), 1n]]),
            'mem#!~#free': points('integer', [[at(10n, 0n), 6n]]),
            'mem#!~#used': points('integer', [[at(10n, 0n), 6n]]),
            'mem,host=x#!~#free': points('integer', [[at(10n, 0n), 1n]]),
          },
        },
      ],
    },
  ])
  const from = join(later.data, 'other db/a-b/3/000000001-000000001.tsm')
  const to = join(directories.data, 'other db/a.b/3/000000002-000000001.tsm')
  await writeFile(to, await readFile(from))
}

describe('what cannot be said', () => {
  it('is left out of line protocol and named', async () => {
    const files = [
      {
        points: {
          '#m#!~#v': points('integer', [[1n, 1n]]),
          'm#!~#v': points('float', [
            [1n, 1],
            [2n, Number.POSITIVE_INFINITY],
          ]),
        },
      },
    ]
    const odd = await writeDirectories([
      { id: 1n, database: 'd', retentionPolicy: 'r', day: 0n, files },
    ])
    const stream = new Text()
    const result = await withSource(odd, 'files', (source) => run(source, { target: '-', stream }))
    expect(lines(stream.text)).toEqual(['m v float 1 1'])
    expect(result).toMatchObject({ points: 1 })
    expect(result.leftOut).toEqual([
      {
        database: 'd',
        retentionPolicy: 'r',
        measurement: '#m',
        reason: expect.any(String),
        keys: 1,
        points: 0,
      },
      {
        database: 'd',
        retentionPolicy: 'r',
        measurement: 'm',
        reason: 'NaN or infinite',
        keys: 0,
        points: 1,
      },
    ])
    const nothing = withSource(odd, 'files', (source) =>
      run(source, { target: '-', stream: new Text(), series: { measurements: ['#m'] } }),
    )
    await expect(nothing).rejects.toMatchObject({
      code: 'E_NOTHING_MATCHED',
      hint: expect.stringContaining('d.r.#m'),
    })
  })

  it('is nothing if nothing matches, and nothing is written', async () => {
    for (const format of ['lp', 'csv', 'parquet'] as const) {
      const dir = await tempDir('out')
      for (const target of [join(dir, 'file'), join(dir, 'made/')]) {
        const nothing = withSource(dirs, 'files', (source) =>
          run(source, { target, format, series: { measurements: ['no such'] } }),
        )
        await expect(nothing).rejects.toMatchObject({ code: 'E_NOTHING_MATCHED' })
      }
      expect(await readdir(dir)).toEqual([])
    }
  })
})

describe('failures', () => {
  const damaged = async () => {
    const copy = await writeDirectories(SHARDS)
    const path = join(copy.data, 'db/rp/2/000000001-000000001.tsm')
    const handle = await open(path, 'r+')
    await handle.write(Buffer.from([0xff]), 0, 1, 8)
    await handle.close()
    return copy
  }

  it.each([
    ['lp', 'files'],
    ['csv', 'wire'],
    ['parquet', 'files'],
  ] as const)('of a damaged source leave no %s file (%s)', async (format, by) => {
    const dir = await tempDir('out')
    const copy = await damaged()
    const failed = withSource(copy, by, (source) =>
      run(source, { target: join(dir, 'made/'), format }),
    )
    await expect(failed).rejects.toMatchObject({
      code: 'E_SOURCE_DAMAGED',
      message: expect.stringContaining('000000001-000000001.tsm'),
    })
    expect(await readdir(dir)).toEqual([])
  })

  it('of a damaged archive are integrity failures', async () => {
    const set = await backedUp(dirs)
    const name = (await readdir(set)).find((file) => file.endsWith('.s2.tar.gz')) ?? ''
    const bytes = await readFile(join(set, name))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await writeFile(join(set, name), bytes)
    const failed = fromBackup(set, (source) => run(source, { target: '-', stream: new Text() }))
    await expect(failed).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(name),
    })
    await rm(join(set, name))
    const missing = fromBackup(set, (source) => run(source, { target: '-', stream: new Text() }))
    await expect(missing).rejects.toMatchObject({ code: 'E_INTEGRITY' })
    // Another database of the same set is none the worse for it.
    const stream = new Text()
    const selection = { databases: ['other db'] }
    await fromBackup(set, (source) => run(source, { target: '-', stream, selection }))
    expect(lines(stream.text)).toEqual([OTHER])
  })

  it('of the destination leave nothing', async () => {
    const dir = await tempDir('out')
    await appendFile(join(dir, 'file'), '')
    const failed = withSource(dirs, 'files', (source) =>
      run(source, { target: join(dir, 'file/x.lp') }),
    )
    await expect(failed).rejects.toMatchObject({ code: 'E_DESTINATION' })
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('it broke')) })
    broken.on('error', () => {})
    const stream = withSource(dirs, 'files', (source) =>
      run(source, { target: '-', stream: broken }),
    )
    await expect(stream).rejects.toMatchObject({ code: 'E_DESTINATION' })
    expect(await readdir(dir)).toEqual(['file'])
  })

  it('of one name take the others back', async () => {
    const dir = await tempDir('out')
    const wait = ({ type }: ProgressEvent) => {
      if (type === 'shardDone') writeFileSync(join(dir, 'other%20db.a%2Eb.lp'), 'mine')
    }
    const failed = withSource(dirs, 'files', (source) =>
      run(source, { target: dir, progress: wait }),
    )
    await expect(failed).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
    expect(await readdir(dir)).toEqual(['other%20db.a%2Eb.lp'])
  })

  it('that may pass are tried again', async () => {
    const stream = new Text()
    const events: ProgressEvent[] = []
    await withSource(dirs, 'wire', async (source) => {
      let tries = 0
      const flaky = changed(source, {
        openShard: async (...args) => {
          tries += 1
          if (tries === 1) throw new SnapError('E_CUT', 'cut', { retryable: true })
          return await source.openShard(...args)
        },
      })
      const progress = (event: ProgressEvent) => void events.push(event)
      const selection = { databases: ['db'] }
      await run(flaky, { target: '-', stream, attempts: 2, progress, selection })
    })
    expect(lines(stream.text)).toEqual(LINES)
    const notes = events.flatMap((event) => (event.type === 'note' ? [event.message] : []))
    expect(notes).toEqual([expect.stringContaining('try 1 failed')])
  })

  it('of the backup that it comes from are said', async () => {
    const set = await tempDir('set')
    const options = { skipErrors: true, jobs: 1, attempts: 1, tempDir: set, dryRun: false }
    const { skipped } = await withSource(await damaged(), 'wire', (source) =>
      backup({
        ...{ source, store: new LocalStore(set), selection: {}, compression: 'gzip' },
        ...{ version: '0.0.0', signal: new AbortController().signal, ...options },
      }),
    )
    expect(skipped).toMatchObject([{ shardId: 2n }])
    const stream = new Text()
    const result = await fromBackup(set, (source) => run(source, { target: '-', stream }))
    expect(lines(stream.text)).toEqual([...LINES.slice(0, 2), OTHER])
    expect(result.lost).toEqual([expect.stringContaining('shard 2 (db.rp): ')])
  })

  it.each(['lp', 'parquet'] as const)(
    'by a stop in the middle leave no %s file',
    async (format) => {
      const dir = await tempDir('out')
      const stop = new AbortController()
      const progress = ({ type }: ProgressEvent) => {
        if (type === 'shardDone') stop.abort(new Error('stop'))
      }
      const stopped = withSource(dirs, 'files', (source) =>
        run(source, { target: join(dir, 'made/'), format, progress, signal: stop.signal }),
      )
      await expect(stopped).rejects.toThrow()
      expect(await readdir(dir)).toEqual([])
    },
  )

  it('to read a shard that was dropped meanwhile are none', async () => {
    const copy = await writeDirectories(SHARDS)
    const smaller = await writeDirectories(SHARDS.filter(({ id }) => id !== 1n))
    for (const by of ['files', 'wire'] as const) {
      const stream = new Text()
      const result = await withSource(copy, by, async (source) => {
        const dropping: ShardSource = changed(source, {
          readMetastore: async (...args: Parameters<ShardSource['readMetastore']>) => {
            const metastore = await source.readMetastore(...args)
            await rm(join(copy.data, 'db/rp/1'), { recursive: true, force: true })
            await writeFile(
              join(copy.meta, 'meta.db'),
              await readFile(join(smaller.meta, 'meta.db')),
            )
            return { ...metastore, present: new Set([1n, 2n, 3n]), absent: new Set<bigint>() }
          },
        })
        return await run(dropping, { target: '-', stream, selection: { databases: ['db'] } })
      })
      expect(lines(stream.text)).toEqual(LINES.slice(2))
      expect(result.dropped).toEqual([expect.objectContaining({ shardId: 1n })])
      await writeFile(join(copy.meta, 'meta.db'), await readFile(join(dirs.meta, 'meta.db')))
    }
  })
})
