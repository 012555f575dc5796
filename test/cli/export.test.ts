import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { DAY, points, writeDirectories } from '../operations/shards.ts'
import { contextOf, errorOf, runIn } from './harness.ts'
import { violations } from './json-schema.ts'

const shard = (id: bigint, key: string, value: number) => ({
  ...{ id, database: 'db', retentionPolicy: 'rp', day: id },
  files: [{ points: { [key]: points('float', [[id * DAY, value]]) } }],
})
const dirs = await writeDirectories([
  shard(1n, 'cpu,host=a#!~#v', 1),
  shard(2n, 'cpu,host=a#!~#v', 2),
  shard(3n, 'mem#!~#v', Number.POSITIVE_INFINITY),
])
const SOURCE = directoryFlags(dirs)

async function exported(...argv: string[]) {
  const context = contextOf(['export', ...argv])
  await runIn(context)
  return context
}

async function asJson(...argv: string[]) {
  const context = await exported('--json', ...argv)
  const document: Record<string, unknown> = JSON.parse(context.stdout.text)
  expect(violations('export.json', document)).toEqual([])
  return { document, code: context.exitCode() }
}

describe('snap export refuses', () => {
  it.each([
    [[], 'missing TARGET'],
    [['-'], 'a set has several files'],
    [['--format', 'xml', 'x'], 'expected portable or lp or csv or parquet, got "xml"'],
    [['--from', 'x', '--host', 'h', 'y'], '--from cannot be used with --host'],
    [['--from', 'x', '--data-dir', 'h', 'y'], '--from cannot be used with --data-dir'],
    [['--set', '20240101T000000Z', 'x'], '--set goes with --from'],
    [['--ddl', '--format', 'csv', 'x'], '--ddl goes with --format lp'],
    [['--format', 'parquet', 'x.gz'], 'compressed inside'],
    [['--format', 'parquet', '--compression', 'gzip', 'x'], 'compressed inside'],
    [['--tag', 'host', 'x'], '--tag: expected key=value, got "host"'],
    [['--tag', '=a', 'x'], '--tag: expected key=value, got "=a"'],
    [['--tag', 'host=', 'x'], '--tag: expected key=value, got "host="'],
    [['--start', '2024-01-02T00:00:00Z', '--end', '2024-01-01T00:00:00Z', 'x'], '--end is before'],
    [['--format', 'lp', 'gs://bucket/'], 'gs:// is not supported'],
  ])('%j', async (argv, message) => {
    const { exitCode, stderr, stdout } = await exported(...argv)
    expect(stderr.text).toContain(message)
    expect([exitCode(), stdout.text]).toEqual([2, ''])
  })

  it('--json with standard output, and several measurements in one Parquet file', async () => {
    const both = await exported('--json', '--format', 'lp', ...SOURCE, '-')
    expect(errorOf(both)).toMatchObject({ code: 'E_USAGE' })
    const dir = await tempDir('out')
    const several = await asJson('--format', 'parquet', ...SOURCE, join(dir, 'x.parquet'))
    expect(several).toMatchObject({ code: 2, document: { ok: false, error: { code: 'E_USAGE' } } })
    expect(await readdir(dir)).toEqual([])
  })
})

describe('snap export', () => {
  it('writes nothing but data to standard output', async () => {
    const wish = ['--format', 'lp', '--measurement', 'cpu', '--tag', 'host=a']
    const { stdout, stderr, exitCode } = await exported(...wish, ...SOURCE, '-')
    expect(stdout.text).toBe(
      `# DML\n# CONTEXT-DATABASE:db\n# CONTEXT-RETENTION-POLICY:rp\ncpu,host=a v=1 ${DAY}\ncpu,host=a v=2 ${2n * DAY}\n`,
    )
    expect(exitCode()).toBe(0)
    expect(stderr.text).toContain('exported 2 points, ')
  })

  it('ends with 3 and says what the format cannot', async () => {
    const dir = await tempDir('out')
    const { document, code } = await asJson('--format', 'lp', ...SOURCE, `${dir}/`)
    expect(code).toBe(3)
    expect(document).toMatchObject({ ok: false, format: 'lp', points: 2, error: { exitCode: 3 } })
    expect(document['leftOut']).toMatchObject([{ measurement: 'mem', keys: 0, points: 1 }])
    expect(await readdir(dir)).toEqual(['db.rp.lp'])
    const { stderr } = await exported('--format', 'lp', ...SOURCE, '-')
    expect(stderr.text).toContain('db.rp.mem: 1 point: NaN or infinite')
  })

  it('ends with 16 and 17, in the words of its schema', async () => {
    const dir = await tempDir('out')
    const wish = ['--format', 'csv', '--measurement', 'no', ...SOURCE]
    expect(await asJson(...wish, join(dir, 'x'))).toMatchObject({
      code: 16,
      document: { ok: false },
    })
    expect(await asJson('--measurement', 'no', ...SOURCE, dir)).toMatchObject({ code: 16 })
    expect(await readdir(dir)).toEqual([])
    const target = join(dir, 'x.csv')
    const ok = await asJson('--format', 'csv', ...SOURCE, target)
    expect(ok).toMatchObject({
      code: 0,
      document: { ok: true, points: 3, files: [{ name: 'x.csv' }] },
    })
    expect(await asJson('--format', 'csv', ...SOURCE, target)).toMatchObject({ code: 17 })
  })

  it('writes a set, and reads it again', async () => {
    const dir = await tempDir('out')
    const end = ['--end', '1970-01-03T00:00:00Z']
    const first = await asJson(...SOURCE, ...end, dir)
    expect(first).toMatchObject({ code: 0, document: { format: 'portable', exact: true } })
    expect(first.document['shards']).toMatchObject([{ shardId: '1' }, { shardId: '2' }])
    const kind = await asJson(...SOURCE, dir)
    expect(kind).toMatchObject({ code: 17, document: { error: { code: 'E_TARGET_FOREIGN' } } })
    const out = join(dir, 'points/')
    const again = ['--from', dir, '--set', String(first.document['set']), '--format', 'csv', out]
    expect(await asJson(...again)).toMatchObject({ code: 0, document: { points: 2 } })
    const summary = await exported('--from', dir, await tempDir('copy'))
    expect(summary.stdout.text).toMatch(/^exported 2 shards, /)
  })
})

describe('a dry run of snap export', () => {
  it.each([
    ['portable', 'set'],
    ['lp', 'points.lp'],
    ['parquet', 'files/'],
  ])('says which shards %s would be made of, and writes nothing', async (format, name) => {
    const root = await tempDir('dry')
    const target = join(root, name)
    const words = [
      ...SOURCE,
      '--dry-run',
      '--format',
      format,
      '--end',
      '1970-01-03T00:00:00Z',
      target,
    ]
    const { document, code } = await asJson(...words)
    expect(code).toBe(0)
    expect(document).toMatchObject({
      dryRun: true,
      format,
      shards: [{ shardId: '1' }, { shardId: '2' }],
    })
    const { stdout } = await exported(...words)
    expect(stdout.text).toMatch(/^would export .*2 shards/)
    expect(await readdir(root)).toEqual([])
  })

  it('needs something to export', async () => {
    const target = join(await tempDir('dry'), 'x')
    const context = await exported(
      ...SOURCE,
      '--dry-run',
      '--format',
      'csv',
      '--shard',
      '9',
      target,
    )
    expect(context.exitCode()).toBe(16)
  })
})
