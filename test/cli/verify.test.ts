import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { directoryFlags } from '../helpers/serve.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'
import { DAY, points, writeDirectories } from '../operations/shards.ts'
import { contextOf, errorOf, runIn } from './harness.ts'
import { violations } from './json-schema.ts'

const shard = (id: bigint) => ({
  ...{ id, database: 'db', retentionPolicy: 'rp', day: id },
  files: [{ points: { 'cpu,host=a#!~#v': points('float', [[id * DAY, 1.5]]) } }],
})
const dirs = await writeDirectories([shard(1n), shard(2n), shard(3n)])
const target = await tempDir('target')
await run('backup', ...directoryFlags(dirs), target)
const [manifest = ''] = (await readdir(target)).filter((name) => name.endsWith('.manifest'))
const set = manifest.replace('.manifest', '')

async function run(...argv: string[]) {
  const context = contextOf(argv)
  await runIn(context)
  return context
}

async function asJson(...argv: string[]) {
  const context = await run('verify', '--json', ...argv)
  const document: Record<string, unknown> = JSON.parse(context.stdout.text)
  expect(violations('verify.json', document)).toEqual([])
  return { document, code: context.exitCode(), context }
}

/** A copy of the target to be damaged. */
async function copyOf(): Promise<string> {
  const copy = await tempDir('copy')
  await cp(target, copy, { recursive: true })
  return copy
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)
  await writeFile(path, bytes)
}

describe('snap verify', () => {
  it('says that a target is whole', async () => {
    const { stdout, exitCode } = await run('verify', target)
    expect(stdout.text).toMatch(/^set \d{8}T\d{6}Z in \S+: whole, 3 archives, 3 files, \d+ B\n$/)
    expect(exitCode()).toBe(0)
    const { document, code } = await asJson('--deep', target)
    expect(code).toBe(0)
    expect(document).toMatchObject({
      ...{ ok: true, deep: true, complete: true, points: 3, problems: [], gaps: [] },
      sets: [{ set, kind: 'snap', archives: 3, problems: 0 }],
      archives: { total: 3, verified: 3, left: [] },
    })
    expect(document).not.toHaveProperty('seed')
    expect((await run('verify', '--deep', '--set', 'latest', target)).stdout.text).toContain(
      '3 values',
    )
  })

  it('says which part it read, and how to choose it again', async () => {
    const { document } = await asJson('--subset', '10%', '--seed', '7', target)
    expect(document).toMatchObject({ ...{ ok: true, complete: false, subset: 10, seed: 7 } })
    const { stdout } = await run('verify', '--subset', '50%', '--seed', '7', target)
    expect(stdout.text).toContain('  2 of 3 archives were read (--seed 7)\n')
    const timed = await run('verify', '--max-duration', '1ns', target)
    expect(timed.stdout.text).toMatch(/0 of 3 archives were read \(--seed \d+\)\n {2}no time for 3/)
    const left = await asJson('--max-duration', '1ns', target)
    expect(left).toMatchObject({ code: 0, document: { ok: true, complete: false } })
  })

  it.each(['manifest', 'meta', 'snap.json', 's2.json', 's2.tar.gz'])(
    'ends with 13 if a bit of %s is another, or if it is gone',
    async (end) => {
      const copy = await copyOf()
      const path = join(copy, `${set}.${end}`)
      await flip(path, 20)
      const { document, code, context } = await asJson(copy)
      expect(code).toBe(13)
      expect(document).toMatchObject({ ok: false, error: { code: 'E_INTEGRITY' } })
      expect(errorOf(context)).toMatchObject({ exitCode: 13 })
      await rm(path)
      expect((await run('verify', copy)).exitCode()).toBe(13)
    },
  )

  it('names file, shard and times of what is damaged', async () => {
    const copy = await copyOf()
    await flip(join(copy, `${set}.s2.tar.gz`), 200)
    const { document } = await asJson(copy)
    expect(document['problems']).toEqual([
      expect.objectContaining({
        ...{ sets: [set], file: `${set}.s2.tar.gz` },
        shard: { shardId: '2', database: 'db', retentionPolicy: 'rp' },
        ...{ start: '1970-01-03T00:00:00Z', end: '1970-01-04T00:00:00Z' },
      }),
    ])
    const { stdout, stderr } = await run('verify', copy)
    expect(stdout.text).toMatch(
      /: 1 problem\n {2}\S+\.s2\.tar\.gz: .*; shard 2 \(db\.rp\), 1970-01-03T00:00:00Z to 1970-01-04T00:00:00Z\n$/,
    )
    expect(stderr.text).toContain('1 problem, the first: ')
  })

  it('ends with 3 if shards could not be backed up', async () => {
    const broken = await writeDirectories([shard(1n), shard(2n)])
    await writeFile(join(broken.data, 'db/rp/2/000000001-000000001.tsm'), 'rubbish')
    const other = await tempDir('target')
    const backup = await run(
      'backup',
      '--skip-errors',
      '--retries',
      '0',
      ...directoryFlags(broken),
      other,
    )
    expect(backup.exitCode()).toBe(3)
    const { document, code } = await asJson(other)
    expect(code).toBe(3)
    expect(document).toMatchObject({ ok: false, error: { code: 'E_INCOMPLETE' } })
    expect((await run('verify', other)).stdout.text).toMatch(
      /shard 2 \(db\.rp\), 1970-01-03T00:00:00Z to \S+ could not be backed up in set/,
    )
  })

  it('tells what a set of influxd does not have, some of it', async () => {
    const copy = await tempDir('stock')
    await cp(join(ROOT, 'test/fixtures/portable/two-sets'), copy, { recursive: true })
    const path = join(copy, '20261122T141642Z.manifest')
    const { files, ...rest } = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...rest, files: files.slice(1) }))
    const { stdout, exitCode } = await run('verify', '--set', '20261122T141642Z', copy)
    expect(stdout.text).toMatch(/has no archive in set 20261122T141642Z: influxd does not say why/)
    expect(exitCode()).toBe(0)
  })

  it('names some of the shards that influxd left out, and files that nobody restores', async () => {
    const copy = await tempDir('stock')
    await cp(join(ROOT, 'test/fixtures/legacy/increments'), copy, { recursive: true })
    await writeFile(join(copy, 'a.b.c.99999.00'), '')
    const { stdout } = await run('verify', copy)
    expect(stdout.text).toContain(
      '  a.b.c.99999.00 is not restored: the metastore has no such shard',
    )
    const many = await tempDir('many')
    const shards = Array.from({ length: 25 }, (_, i) => shard(BigInt(i + 1)))
    await run('backup', ...directoryFlags(await writeDirectories(shards)), many)
    for (const name of await readdir(many)) {
      if (/json$/.test(name)) await rm(join(many, name))
      if (/\.s(?!1\.).*gz$/.test(name)) await rm(join(many, name))
      if (!name.endsWith('manifest')) continue
      const { files, meta } = JSON.parse(await readFile(join(many, name), 'utf8'))
      await writeFile(join(many, name), JSON.stringify({ meta, files: files.slice(0, 1) }))
    }
    const stock = await run('verify', many)
    expect(stock.exitCode()).toBe(0)
    expect(stock.stdout.text.match(/ has no archive in set /g)).toHaveLength(20)
    expect(stock.stdout.text).toContain('  and 4 more shards\n')
  })

  it.each([
    [['--subset', '10'], '--subset: expected a share from 0% to 100% as 10%, got "10"'],
    [['--subset', '0%'], 'expected a share'],
    [['--subset', '101%'], 'expected a share'],
    [['--seed', 'x'], '--seed: expected a whole number'],
    [['--max-duration', '1'], '--max-duration: expected a duration'],
  ])('refuses %j', async (argv, message) => {
    const { exitCode, stderr } = await run('verify', ...argv, target)
    expect([exitCode(), stderr.text]).toEqual([2, expect.stringContaining(message)])
  })
})
