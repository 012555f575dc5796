import { readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { SnapError } from '../../../src/errors.ts'
import { thisProcess } from '../../../src/io/process-owner.ts'
import { encodeData } from '../../../src/meta/index.ts'
import { decodeCatalog } from '../../../src/portable/catalog.ts'
import { decodeManifest } from '../../../src/portable/manifest.ts'
import { RequestType } from '../../../src/protocol/index.ts'
import {
  HOUR,
  makeDirectory,
  pointsIn,
  SAMPLE,
  type SampleDirectory,
} from '../../helpers/data-directory.ts'
import { startFaultProxy } from '../../helpers/fault-proxy.ts'
import { CAN_MOUNT, makeReadOnly, mountMemory } from '../../helpers/file-systems.ts'
import { tempDir } from '../../helpers/temp.ts'
import { filesOf } from '../../helpers/tree.ts'
import { serveDirectory, serveOwn } from '../../operations/servers.ts'
import { MemoryStore } from '../../service/memory-store.ts'
import { expectCode, finishJson, snap, worldOf } from './snap.ts'
import { isThere, newDirectory, newTarget, restored } from './targets.ts'

/** Turns one bit over in the only file of shard 10. */
async function damage({ root }: SampleDirectory): Promise<void> {
  const path = join(root, 'data/two words/autogen/10/000000001-000000001.tsm')
  const bytes = await readFile(path)
  bytes[12] = (bytes[12] ?? 0) ^ 1
  await writeFile(path, bytes)
}

const idsOf = (shards: readonly { shardId: string }[]) => shards.map(({ shardId }) => shardId)

describe('snap backup', () => {
  it('takes every point of a data directory, _internal aside', async () => {
    const target = await newTarget()
    const source = await makeDirectory()
    const { document } = await expectCode(0, 'backup', ...source.flags, target)
    expect(document).toMatchObject({ target, dryRun: false, dropped: [], skipped: [], lost: [] })
    expect(idsOf(document.shards)).toEqual(['1', '2', '3', '10'])
    const [bytes, stored] = ['bytes', 'stored'].map((key) =>
      document.shards.reduce(
        (sum: number, shard: Record<string, number>) => sum + (shard[key] ?? 0),
        0,
      ),
    )
    expect(document).toMatchObject({ bytes, stored })
    expect(await restored(target)).toEqual(pointsIn())
  })

  it('takes every point of a server', async () => {
    const { host } = await serveDirectory(await makeDirectory())
    const target = await newTarget()
    const { code, stdout, stderr } = await snap('backup', '--host', host, target)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/^backed up 4 shards, 11\.0 KiB \(.* stored\), as set \d{8}T\d{6}Z in /)
    expect(stderr.split('\n')[0]).toBe('backup: 4 shards')
    expect(stderr).toMatch(
      /^\[\d\/4\] shard 10 two words\/autogen: .* in .*, .* stored, 2 points$/m,
    )
    expect(await restored(target)).toEqual(pointsIn())
  })

  it('warns of a set of a later time, which stays the newest', async () => {
    const source = await makeDirectory()
    const target = await newTarget()
    const first = await expectCode(0, 'backup', ...source.flags, target)
    expect(first.stderr).not.toContain('later time')
    await writeFile(join(target, 'notes.manifest'), '{')
    const second = await expectCode(0, 'backup', ...source.flags, target)
    expect(second.stderr).not.toContain('later time')
    await writeFile(join(target, '20990101T000000Z.manifest'), '{')
    const { stderr, document } = await expectCode(0, 'backup', ...source.flags, target)
    expect(stderr).toContain('set 20990101T000000Z is of a later time than now')
    expect(stderr).toContain(`take this one by its name, ${document.set}`)
  })

  it('writes names and contents of a portable set, for its owner alone', async () => {
    const target = await newTarget()
    const source = await makeDirectory()
    const { document } = await expectCode(0, 'backup', ...source.flags, '--db', 'two words', target)
    const { set } = document
    expect(await filesOf(target)).toEqual(
      ['manifest', 'meta', 's10.json', 's10.tar.gz', 'snap.json'].map((end) => `${set}.${end}`),
    )
    for (const name of await readdir(target)) {
      expect((await stat(join(target, name))).mode & 0o777, name).toBe(0o600)
    }
    const manifest = decodeManifest(await readFile(join(target, `${set}.manifest`)))
    expect(manifest).toMatchObject({ limited: false, catalog: `${set}.snap.json` })
    expect(manifest.files).toMatchObject([
      { database: 'two words', policy: 'autogen', shardId: 10n, lastModified: 0 },
    ])
    const catalog = decodeCatalog(await readFile(join(target, `${set}.snap.json`)))
    expect(catalog).toMatchObject({ set, kind: 'full', server: { clusterId: 4711n }, skipped: [] })
    expect(catalog.selection).toMatchObject({ databases: ['two words'] })
  })

  it.each([
    [
      ['--db', 'telegraf', '--db', 'two words'],
      ['1', '2', '3', '10'],
    ],
    [
      ['--db', 'telegraf'],
      ['1', '2', '3'],
    ],
    [['--db', '_internal'], ['4']],
    [['-database', 'telegraf', '-retention', 'short', '-portable'], ['3']],
    [['--rp', 'short'], ['3']],
    [
      ['--shard', '10', '--shard', '2'],
      ['2', '10'],
    ],
    [
      ['--exclude-db', 'telegraf'],
      ['10', '4'],
    ],
    [
      ['--exclude-db', ''],
      ['1', '2', '3', '10', '4'],
    ],
    [['--start', '1970-01-01T01:00:00Z'], ['2']],
    [
      ['--end', '1970-01-01T00:59:59.999999999Z', '--db', 'telegraf'],
      ['1', '3'],
    ],
  ])('takes what %j selects', async (words, ids) => {
    const target = await newTarget()
    const source = await makeDirectory()
    const { document } = await expectCode(0, 'backup', ...source.flags, ...words, target)
    expect(idsOf(document.shards)).toEqual(ids)
    const manifest = decodeManifest(await readFile(join(target, `${document.set}.manifest`)))
    expect(manifest.files.map(({ shardId }) => String(shardId)).sort()).toEqual(ids.toSorted())
  })

  it.each([
    [['--db', 'nowhere'], 'database "nowhere" is not in', 'there are: telegraf, two words'],
    [['--db', 'telegraf', '--rp', 'x'], 'has no retention policy "x"', 'there are: autogen, short'],
    [['--rp', 'x'], 'no database in', 'there are: autogen, short'],
    [['--shard', '99'], 'shard 99 is not in', 'there are: 1, 2, 3, 10'],
    [['--db', 'empty'], 'has no shards in this selection', 'there is nothing to take yet'],
    [['--start', '1999-01-01T00:00:00Z'], 'has no shards in this selection', ''],
  ])('ends with 16 where %j selects nothing, and writes nothing', async (words, message, hint) => {
    const target = await newTarget()
    const source = await makeDirectory()
    const { error } = await expectCode(16, 'backup', ...source.flags, ...words, target)
    expect(error?.message).toContain(message)
    expect(error?.hint).toContain(hint)
    expect(await isThere(target)).toBe(false)
  })

  it.each([
    [['--since', '1h', '--start', '2h'], '--since cannot be used with --start'],
    [['--start', '1h', '--end', '2h'], '--end is before --start'],
    [['--host', 'h', '--data-dir', 'd'], '--data-dir cannot be used with --host'],
    [['--host', 'h', '--influxdb-config', 'f'], '--influxdb-config cannot be used with --host'],
    [['--wal-dir', 'd'], '--wal-dir and --meta-dir go with --data-dir'],
    [['--compression', 'zip'], '--compression: expected'],
  ])('refuses %j', async (words, message) => {
    const { error } = await expectCode(2, 'backup', ...words, '/nowhere')
    expect(error?.message).toContain(message)
  })

  it('refuses a line without TARGET, and a kind of place it does not know', async () => {
    expect((await expectCode(2, 'backup')).error?.message).toBe('missing TARGET')
    const { error } = await expectCode(2, 'backup', 'gs://bucket/prefix')
    expect(error).toMatchObject({ message: 'gs://bucket/prefix: gs:// is not supported' })
  })

  it('says what it would do and writes nothing', async () => {
    const target = await newTarget()
    const source = await makeDirectory()
    const words = ['backup', ...source.flags, '--dry-run', target]
    const { document } = await expectCode(0, ...words)
    expect(document).toMatchObject({ set: null, dryRun: true, bytes: 0 })
    expect(idsOf(document.shards)).toEqual(['1', '2', '3', '10'])
    const { stdout } = await snap(...words)
    expect(stdout).toContain(`would back up 4 shards to ${target}\n`)
    expect(stdout).toContain('\n  shard 10 two words/autogen\n')
    expect(await isThere(target)).toBe(false)
  })

  it('names the shards that the server should have and does not', async () => {
    const { autogen } = SAMPLE['two words'] ?? {}
    const shards = [...(autogen?.shards ?? []), { id: 11, hour: 5, isAbsent: true }]
    const source = await makeDirectory({ ...SAMPLE, 'two words': { autogen: { shards } } })
    const { document } = await expectCode(0, 'backup', ...source.flags, await newTarget())
    expect(document.absent).toEqual([
      { database: 'two words', retentionPolicy: 'autogen', shardId: '11' },
    ])
    const { stdout } = await snap('backup', ...source.flags, await newTarget())
    expect(stdout).toContain('\n  1 shard of the metastore not on the server: 11\n')
  })

  it('obeys compression, jobs, rate and temporary directory', async () => {
    const source = await makeDirectory()
    const [plain, packed] = [await newTarget(), await newTarget()]
    const words = ['--jobs', '1', '--limit-rate', '1MiB/s', '--temp-dir', await tempDir('temp')]
    const none = ['--compression', 'none']
    const first = await expectCode(0, 'backup', ...source.flags, ...words, ...none, plain)
    const second = await expectCode(0, 'backup', ...source.flags, ...words, packed)
    expect(first.document.stored).toBeGreaterThan(first.document.bytes)
    expect(second.document.stored).toBeLessThan(second.document.bytes)
    expect(await restored(plain)).toEqual(pointsIn())
  })
})

describe('a shard that an older set has', () => {
  it('is missed when the metastore still knows it and the source does not have it', async () => {
    const source = await makeDirectory()
    const target = await newTarget()
    await expectCode(0, 'backup', ...source.flags, target)
    await rm(join(source.root, 'data/two words/autogen/10'), { recursive: true })
    const { document, error } = await expectCode(3, 'backup', ...source.flags, target)
    expect(error?.message).toContain('the source itself has lost data in 1 place')
    expect(document.lost).toEqual([expect.stringMatching(/^shard 10 .*did it fail to open\?$/)])
    expect(document.completeness).toBe('unconfirmed')
    const { document: restore } = await expectCode(
      3,
      'restore',
      ...(await newDirectory()).flags,
      target,
    )
    expect(idsOf(restore.lost)).toEqual(['10'])
    await expectCode(0, 'backup', ...source.flags, '--db', 'telegraf', target)
  })
})

describe('a TARGET inside the directories that are backed up', () => {
  it('is refused, through symbolic links too', async () => {
    const source = await makeDirectory()
    const link = join(await newTarget(), '../link')
    await symlink(join(source.root, 'wal'), link)
    const inside = ['data', 'data/telegraf/sets', 'meta/new/sets'].map((path) =>
      join(source.root, path),
    )
    for (const target of [...inside, link, join(link, 'sets')]) {
      const { error } = await expectCode(2, 'backup', ...source.flags, target)
      expect(error?.message).toMatch(/ is inside .*, which is to be backed up$/)
      await expectCode(2, 'export', '--format', 'lp', ...source.flags, join(target, 'all.lp'))
    }
    await expectCode(0, 'backup', ...source.flags, join(source.root, 'data-sets'))
  })
})

describe('snap backup --since', () => {
  async function touched(): Promise<SampleDirectory> {
    const source = await makeDirectory()
    const old = new Date('2001-01-01T00:00:00Z')
    for (const part of ['data', 'wal']) {
      for (const path of await filesOf(join(source.root, part))) {
        const isNew = path.startsWith('telegraf/autogen/2/') && part === 'wal'
        if (!isNew) await utimes(join(source.root, part, path), old, old)
      }
    }
    return source
  }

  it('takes whole shards that have changed, and restores with what older sets hold', async () => {
    const source = await touched()
    const target = await newTarget()
    await expectCode(0, 'backup', ...source.flags, target)
    const since = ['--since', '2010-01-01T00:00:00Z']
    const { document } = await expectCode(0, 'backup', ...source.flags, ...since, target)
    expect(idsOf(document.shards)).toEqual(['2'])
    expect(idsOf(document.unchanged)).toEqual(['1', '3', '10'])
    expect(await restored(target)).toEqual(pointsIn())
    const { stdout, stderr } = await snap('backup', ...source.flags, ...since, target)
    expect(stdout).toContain('\n  3 shards unchanged\n')
    expect(stderr).toContain('shard 1 telegraf/autogen: skipped: unchanged')
  })

  it('takes what changed after an older set, though before the time', async () => {
    const source = await touched()
    const target = await newTarget()
    await expectCode(0, 'backup', ...source.flags, target)
    const data = join(source.root, 'data')
    const later = new Date(Date.now() + 60_000)
    for (const path of await filesOf(data)) {
      if (/\/3\/.*\.tsm$/.test(path)) await utimes(join(data, path), later, later)
    }
    const since = ['--since', new Date(Date.now() + 120_000).toISOString()]
    const { document } = await expectCode(0, 'backup', ...source.flags, ...since, target)
    expect(idsOf(document.shards)).toContain('3')
    expect(document.unchanged).toContainEqual(expect.objectContaining({ shardId: '1', held: true }))
    expect(await restored(target)).toEqual(pointsIn())
  })

  it('says what no older set holds, also when it is restored', async () => {
    const source = await touched()
    const target = await newTarget()
    const since = ['--since', '2010-01-01T00:00:00Z']
    const { document, error } = await expectCode(3, 'backup', ...source.flags, ...since, target)
    expect(idsOf(document.unchanged)).toEqual(['1', '3', '10'])
    expect(document.unchanged).toContainEqual(expect.objectContaining({ held: false }))
    expect(error?.message).toBe('the set is incomplete: 3 unchanged shards in no older set here')
    const verified = await expectCode(3, 'verify', target)
    expect(verified.document.gaps).toHaveLength(3)
    const root = await newTarget()
    const directory = ['data', 'wal', 'meta'].flatMap((part) => [`--${part}-dir`, join(root, part)])
    const restore = await expectCode(3, 'restore', '--db', 'telegraf', ...directory, target)
    expect(idsOf(restore.document.lost)).toEqual(['1', '3'])
  })

  it('ends with 16 and without a set where nothing has', async () => {
    const source = await touched()
    const target = await newTarget()
    const since = ['--since', '2010-01-01T00:00:00Z', '--db', 'two words']
    const { error } = await expectCode(16, 'backup', ...source.flags, ...since, target)
    expect(error?.message).toBe('no set was written: no selected shard has changed since then')
    expect(await isThere(target)).toBe(false)
  })
})

describe('snap backup --start --end', () => {
  it.each([
    ['exactly', undefined, undefined, pointsIn()],
    ['from a time on', HOUR, undefined, pointsIn().filter((line) => timeOf(line) >= HOUR)],
    [
      'from a time to another',
      3,
      11,
      pointsIn().filter((line) => timeOf(line) >= 3 && timeOf(line) <= 11),
    ],
  ])(
    'takes the points %s, from a directory as from a stock server',
    async (_, start, end, points) => {
      const bounds = [
        ...(start === undefined ? ['--start', '1960-01-01T00:00:00Z'] : ['--start', at(start)]),
        ...(end === undefined ? [] : ['--end', at(end)]),
      ]
      const source = await makeDirectory()
      const [direct, network] = [await newTarget(), await newTarget()]
      await expectCode(0, 'backup', ...source.flags, ...bounds, direct)
      expect(await restored(direct)).toEqual(points)
      // Of a server that does not cut exactly, whole shards are fetched and cut here.
      const { host } = await serveOwn((data) => new MemoryStore(data))
      await expectCode(0, 'backup', '--host', host, ...bounds, network)
      expect(await restored(network)).toEqual(points.filter((line) => !IN_WAL.has(line)))
    },
  )

  const IN_WAL = new Set([
    `telegraf/autogen mem ${HOUR + 1}`,
    `telegraf/autogen cpu,host=b ${HOUR}`,
  ])

  function timeOf(line: string): number {
    return Number(line.slice(line.lastIndexOf(' ') + 1))
  }

  function at(nanoseconds: number): string {
    const seconds = Math.floor(nanoseconds / 1e9)
    const date = new Date(seconds * 1000).toISOString().slice(0, 19)
    return `${date}.${String(nanoseconds % 1e9).padStart(9, '0')}Z`
  }
})

describe('a target', () => {
  const range = ['--start', '1970-01-01T00:00:00Z']

  it('of another server is refused', async () => {
    const target = await newTarget()
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    const before = await filesOf(target)
    const other = await makeDirectory(SAMPLE, 815n)
    const { error } = await expectCode(17, 'backup', ...other.flags, target)
    expect(error?.message).toContain('is of the server with cluster id 4711')
    expect(error?.message).toContain('this one has 815')
    expect(await filesOf(target)).toEqual(before)
  })

  it.each([
    ['a time range', [], range],
    ['whole shards', range, []],
  ])('of another kind is refused: one more of %s', async (_, first, second) => {
    const target = await newTarget()
    const { flags } = await makeDirectory()
    await expectCode(0, 'backup', ...flags, ...first, target)
    const before = await filesOf(target)
    const { error } = await expectCode(17, 'backup', ...flags, ...second, target)
    expect(error?.code).toBe('E_TARGET_FOREIGN')
    expect(await filesOf(target)).toEqual(before)
  })

  it('takes two sets begun in one second', async () => {
    const target = await newTarget()
    const { flags } = await makeDirectory()
    const words = ['backup', ...flags, '--db', 'two words', target]
    const sets = await Promise.all(
      [1, 2, 3].map(async () => (await expectCode(0, ...words)).document.set),
    )
    expect(new Set(sets).size).toBe(3)
    const manifests = (await filesOf(target)).filter((name) => name.endsWith('.manifest'))
    expect(manifests).toEqual(sets.toSorted().map((set) => `${set}.manifest`))
  })

  it('is cleaned of what a killed run has left, and of nothing else', async () => {
    const target = await tempDir('target')
    const set = '20200101T000000Z'
    const gone = { ...thisProcess(), startTime: '1' }
    await writeFile(join(target, `${set}.pending`), JSON.stringify(gone))
    await writeFile(join(target, `${set}.s1.tar.gz.pending`), 'half')
    await writeFile(join(target, `${set}.s2.tar.gz`), 'published, but no manifest names it')
    await writeFile(join(target, 'notes.txt'), 'mine')
    const { document } = await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    const names = await filesOf(target)
    expect(names.filter((name) => !name.startsWith(document.set))).toEqual(['notes.txt'])
  })

  it('that is a file is refused', async () => {
    const target = join(await tempDir('target'), 'file')
    await writeFile(target, 'mine')
    const { error } = await expectCode(15, 'backup', ...(await makeDirectory()).flags, target)
    expect(error?.message).toContain(target)
    expect(await readFile(target, 'utf8')).toBe('mine')
  })

  it('whose only set is damaged is not written into', async () => {
    const target = await tempDir('target')
    await writeFile(join(target, '20200101T000000Z.manifest'), '{')
    const { error } = await expectCode(13, 'backup', ...(await makeDirectory()).flags, target)
    expect(error?.message).toContain('20200101T000000Z.manifest')
  })

  it.skipIf(!CAN_MOUNT)('that is read-only is refused', async () => {
    const target = await mountMemory('size=1m')
    makeReadOnly(target)
    const { flags } = await makeDirectory()
    for (const path of [target, join(target, 'sets')]) {
      const { error } = await expectCode(15, 'backup', ...flags, path)
      expect(error).toMatchObject({ code: 'E_DESTINATION' })
      expect(error?.message).toContain(path)
    }
  })

  it.skipIf(!CAN_MOUNT)('that is full is left as it was', async () => {
    const target = await mountMemory('size=16k')
    const words = ['--compression', 'none', '--jobs', '2']
    const { error } = await expectCode(
      15,
      'backup',
      ...(await makeDirectory()).flags,
      ...words,
      target,
    )
    expect(error?.message).toContain('ENOSPC')
    expect(error?.hint).toContain('free some space')
    expect(await filesOf(target)).toEqual([])
  })
})

describe('a source', () => {
  it('with a damaged TSM file ends the run with 14 and leaves no files', async () => {
    const source = await makeDirectory()
    await damage(source)
    const target = await newTarget()
    const words = ['backup', ...source.flags, '--retries', '0', target]
    const { error } = await expectCode(14, ...words)
    const hint = expect.stringMatching(/^the file on the disk is damaged/)
    expect(error).toMatchObject({ code: 'E_SOURCE_DAMAGED', hint })
    expect(error?.message).toContain('000000001-000000001.tsm')
    expect(error?.message).toContain(join(source.root, 'data'))
    expect(await isThere(target)).toBe(false)
  })

  it('with a damaged TSM file ends the run where points are chosen, too', async () => {
    const { host, store } = await serveOwn((data) => new MemoryStore(data))
    const [file] = store.shards.get(10n)?.files.values() ?? []
    file?.bytes.fill(0, 0, 20)
    const words = ['--retries', '0', '--start', '1970-01-01T00:00:00Z', '--db', 'two words']
    const { error } = await expectCode(14, 'backup', '--host', host, ...words, await newTarget())
    expect(error).toMatchObject({ code: 'E_SOURCE_DAMAGED' })
    expect(error?.message).toContain('000000001-000000001.tsm')
  })

  it('with a damaged TSM file is tried again, and said so', async () => {
    const source = await makeDirectory()
    await damage(source)
    const target = await newTarget()
    const { code, stderr } = await snap('backup', ...source.flags, '--retries', '1', target)
    expect(code).toBe(14)
    expect(stderr).toMatch(
      /^warning: shard 10 \(two words\.autogen\): try 1 failed, next in 500 ms: /m,
    )
  })

  it('is left out in part with --skip-errors, which ends with 3', async () => {
    const source = await makeDirectory()
    await damage(source)
    const target = await newTarget()
    const words = ['backup', ...source.flags, '--skip-errors', '--retries', '0', target]
    const { document, error } = await expectCode(3, ...words)
    expect(idsOf(document.shards)).toEqual(['1', '2', '3'])
    expect(document.skipped).toMatchObject([{ database: 'two words', shardId: '10' }])
    expect(document.skipped[0].reason).toContain('000000001-000000001.tsm')
    expect(error).toMatchObject({
      code: 'E_INCOMPLETE',
      message: 'the set is incomplete: 1 shard skipped',
    })
    const catalog = decodeCatalog(await readFile(join(target, `${document.set}.snap.json`)))
    expect(catalog.skipped).toMatchObject([{ shardId: 10n, lost: true }])
    const { stdout } = await snap(...words)
    expect(stdout).toMatch(/\n {2}shard 10 skipped: .*000000001-000000001\.tsm/)
  })

  it('of which nothing can be fetched ends with 14 with --skip-errors too', async () => {
    const source = await makeDirectory()
    await damage(source)
    const target = await newTarget()
    const words = ['--skip-errors', '--retries', '0', '--db', 'two words']
    const { error } = await expectCode(14, 'backup', ...source.flags, ...words, target)
    expect(error?.message).toContain('000000001-000000001.tsm')
    expect(await isThere(target)).toBe(false)
  })

  it('that has lost acknowledged points itself is backed up, and ends with 3', async () => {
    const source = await makeDirectory()
    const path = join(source.root, 'wal/telegraf/autogen/2/_00001.wal')
    const good = await readFile(path)
    await writeFile(path, Buffer.concat([good, Buffer.from('\x01\0\0\0\x08rubbish!'), good]))
    const target = await newTarget()
    const { document, error } = await expectCode(3, 'backup', ...source.flags, target)
    expect(document.lost).toEqual([
      expect.stringMatching(/^shard 2: .*_00001\.wal: \d+ bytes at offset/),
    ])
    expect(error?.message).toBe('the set is incomplete: the source itself has lost data in 1 place')
    expect(await restored(target)).toEqual(pointsIn())
    const { stdout } = await snap('backup', ...source.flags, target)
    expect(stdout).toMatch(/\n {2}lost at the source: shard 2: /)
  })

  it('that nobody listens at ends with 14 at once', async () => {
    const target = await newTarget()
    const { error } = await expectCode(14, 'backup', '--host', '127.0.0.1:1', target)
    expect(error).toMatchObject({ code: 'E_CONNECT' })
    expect(await isThere(target)).toBe(false)
  })

  it('that is no data directory ends with 14', async () => {
    const missing = join(await tempDir('missing'), 'data')
    const { error } = await expectCode(14, 'backup', '--data-dir', missing, await newTarget())
    expect(error?.message).toContain(missing)
  })

  it('whose metastore is rubbish ends with 14', async () => {
    class Rubbish extends MemoryStore {
      override marshalBinary() {
        return Buffer.from('\xff\xff rubbish')
      }
    }
    const { host } = await serveOwn((data) => new Rubbish(data))
    const { error } = await expectCode(14, 'backup', '--host', host, await newTarget())
    expect(error?.message).toContain(`${host}: metastore`)
  })

  it('whose paths are rubbish ends with 14', async () => {
    class Rubbish extends MemoryStore {
      override shardRelativePath() {
        return 'rubbish'
      }
    }
    const { host } = await serveOwn((data) => new Rubbish(data))
    const { error } = await expectCode(14, 'backup', '--host', host, await newTarget())
    expect(error).toMatchObject({ code: 'E_PROTOCOL' })
  })

  it('that sends the files of another shard ends with 14', async () => {
    class Crossed extends MemoryStore {
      override async backupShard(_: bigint, since: bigint, w: Writable, signal: AbortSignal) {
        await super.backupShard(1n, since, w, signal)
      }
    }
    const { host } = await serveOwn((data) => new Crossed(data))
    const words = ['--retries', '0', '--db', 'two words']
    const { error } = await expectCode(14, 'backup', '--host', host, ...words, await newTarget())
    expect(error?.message).toContain('is not of shard 10 (two words.autogen)')
  })

  it('that cuts a shard short is asked again', async () => {
    const { host } = await serveDirectory(await makeDirectory())
    const cut = { toClient: { cut: { after: 1024, how: 'rst' } } } as const
    const proxy = await startFaultProxy(host, (type, before) =>
      type === RequestType.ShardBackup && before < 2 ? cut : {},
    )
    const target = await newTarget()
    const words = ['--db', 'two words', '--host', proxy.host]
    const { code, stderr } = await snap('backup', ...words, target)
    await proxy.close()
    expect(code, stderr).toBe(0)
    expect(stderr.match(/^warning: shard 10 .*: try \d failed, next in \d+ ms: /gm)).toHaveLength(2)
    const points = pointsIn().filter((line) => line.startsWith('two words'))
    expect(await restored(target)).toEqual(points)
  })

  it('that gives no end to a shard ends with 14 after the idle time', async () => {
    class Stalling extends MemoryStore {
      override async backupShard(_id: bigint, _since: bigint, w: Writable, signal: AbortSignal) {
        w.write('some')
        await sleep(60_000, undefined, { signal })
      }
    }
    const { host } = await serveOwn((data) => new Stalling(data))
    const words = ['--retries', '0', '--idle-timeout', '100ms', '--host', host]
    const target = await newTarget()
    const { error } = await expectCode(14, 'backup', ...words, target)
    expect(error).toMatchObject({ code: 'E_TIMEOUT' })
    expect(await isThere(target)).toBe(false)
  })

  it('that fails when it is asked twice is asked once more', async () => {
    class Failing extends MemoryStore {
      asked = 0
      override async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal) {
        this.asked++
        if (this.asked % 2 === 0 && this.asked < this.fails) throw new SnapError('E_SOURCE', 'no')
        await super.backupShard(id, since, w, signal)
      }
      fails = 4
    }
    const { host, store } = await serveOwn((data) => new Failing(data))
    const words = ['backup', '--host', host, '--db', 'two words', '--twice']
    const { document } = await expectCode(0, ...words, await newTarget())
    expect(document.shards).toMatchObject([{ shardId: '10', complete: true }])
    expect(store.asked).toBe(4)
    store.fails = 99
    const target = await newTarget()
    const more = ['--shard', '10', '--retries', '1', '--skip-errors', target]
    await expectCode(14, ...words, ...more)
    expect(await isThere(target)).toBe(false)
  })

  it('that gets a new shard while it is asked is read again', async () => {
    class Growing extends MemoryStore {
      #asked = 0
      override marshalBinary() {
        if (this.#asked++ > 0) return super.marshalBinary()
        const data = this.data()
        for (const policy of data.databases.flatMap(({ retentionPolicies }) => retentionPolicies))
          policy.shardGroups = policy.shardGroups.filter(({ id }) => id !== 2n)
        return encodeData(data)
      }
    }
    const { host } = await serveOwn((data) => new Growing(data))
    const { document } = await expectCode(0, 'backup', '--host', host, await newTarget())
    expect(idsOf(document.shards)).toEqual(['1', '2', '3', '10'])
  })
})

describe('a shard that is gone when it is asked for', () => {
  /** Drops one shard once the list of shards was given out, as retention may. */
  class Forgetful extends MemoryStore {
    dropsFromMetastore = true
    override async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal) {
      if (id !== 2n) return await super.backupShard(id, since, w, signal)
      this.shards.delete(id)
      if (this.dropsFromMetastore) {
        const data = this.data()
        const groups = data.databases.flatMap(({ retentionPolicies }) =>
          retentionPolicies.flatMap(({ shardGroups }) => shardGroups),
        )
        for (const group of groups) if (group.id === id) group.deletedAt = 1n
        await this.setData(data)
      }
      throw new SnapError('E_SOURCE', `shard ${id} is not here`)
    }
  }

  it('is left out and named, and the run ends with 0', async () => {
    const { host } = await serveOwn((data) => new Forgetful(data))
    const target = await newTarget()
    const words = ['backup', '--host', host, '--retries', '0', target]
    const { document } = await expectCode(0, ...words)
    expect(idsOf(document.shards)).toEqual(['1', '3', '10'])
    expect(document.dropped).toMatchObject([
      { shardId: '2', reason: 'dropped by the server meanwhile' },
    ])
    const catalog = decodeCatalog(await readFile(join(target, `${document.set}.snap.json`)))
    expect(catalog.skipped).toMatchObject([{ shardId: 2n, lost: false }])
  })

  it('is said on the screen', async () => {
    const { host } = await serveOwn((data) => new Forgetful(data))
    const words = ['backup', '--host', host, '--retries', '0', await newTarget()]
    const { stdout, stderr } = await snap(...words)
    expect(stdout).toContain('\n  shard 2 left out: dropped by the server meanwhile\n')
    expect(stderr).toContain('shard 2 telegraf/autogen: skipped: dropped by the server meanwhile')
  })

  it('leaves no set where it was the only one', async () => {
    const { host } = await serveOwn((data) => new Forgetful(data))
    const target = await newTarget()
    const words = ['--retries', '0', '--shard', '2', target]
    const { error } = await expectCode(16, 'backup', '--host', host, ...words)
    expect(error?.message).toBe('no set was written: every selected shard was dropped meanwhile')
    expect(await isThere(target)).toBe(false)
  })

  it('is an error while the metastore still has it', async () => {
    const { host } = await serveOwn((data) => {
      const store = new Forgetful(data)
      store.dropsFromMetastore = false
      return store
    })
    const words = ['--retries', '0', '--host', host]
    const { error } = await expectCode(14, 'backup', ...words, await newTarget())
    expect(error?.message).toContain('empty answer to the request for shard 2')
  })
})

describe('a signal', () => {
  it('ends a backup, which leaves nothing', async () => {
    class Waiting extends MemoryStore {
      waits = 0
      override async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal) {
        if (id !== 2n) return await super.backupShard(id, since, w, signal)
        this.waits++
        await sleep(60_000, undefined, { signal })
      }
    }
    const { host, store } = await serveOwn((data) => new Waiting(data))
    const target = await newTarget()
    const context = await worldOf(['backup', '--host', host, target, '--json'])
    const running = finishJson(context)
    await vi.waitFor(() => expect(store.waits).toBe(1), 20_000)
    context.signals.emit('SIGINT')
    const { code, error } = await running
    expect([code, error?.message]).toEqual([130, 'interrupted'])
    expect(await isThere(target)).toBe(false)
  })
})
