import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { addContinuousQuery, addUser, setPrivilege } from '../../src/meta/index.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { fixture, fixturePath } from '../age/files.ts'
import { tsmName } from '../datadir/shard-files.ts'
import { snapEnding } from '../faults/snap.ts'
import {
  changeMetastore,
  type DirectorySpec,
  HOUR,
  makeDirectory,
  metastoreOf,
  readMetastore,
} from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { tsmBytes } from '../tsm/files.ts'
import { writeEntry } from '../wal/encode.ts'

const BACKUP: DirectorySpec = {
  d: {
    r: {
      shards: [
        { id: 1, hour: 0, files: [{ m: [1, 2, 3], n: [5] }] },
        { id: 2, hour: 2, files: [{ m: [2 * HOUR] }] },
      ],
    },
  },
}
const KEY = 'm#!~#value'
const IS_ROOT = process.getuid?.() === 0

let set: string

beforeAll(async () => {
  const source = await makeDirectory(BACKUP)
  await changeMetastore(source, (data) => {
    addUser(data, { name: 'ana', hash: '$2a$10$ana', admin: false })
    setPrivilege(data, 'ana', { database: 'd', privilege: 2 })
    const query =
      'CREATE CONTINUOUS QUERY q ON d BEGIN SELECT max(value) INTO d.r.peak FROM d.r.m GROUP BY time(1h) END'
    addContinuousQuery(data, 'd', { name: 'q', query })
  })
  set = await tempDir('set')
  await snapEnding(0, 'backup', ...source.flags, set)
})

/** Directories with one shard of the hour 0, or only its place in the metastore. */
async function live(
  shard: Partial<DirectorySpec[string][string]['shards'][number]> = { files: [{ m: [2, 9] }] },
): Promise<string> {
  const { root } = await makeDirectory({ d: { r: { shards: [{ id: 7, hour: 0, ...shard }] } } })
  return root
}

const shardOf = (root: string, kind = 'data') => join(root, kind, 'd/r/7')
const wordsFor = (root: string, ...more: readonly string[]) => [
  ...['restore', '--merge', '--influxd-is-stopped', '--data-dir', join(root, 'data'), ...more],
]
const merge = (root: string, ...more: readonly string[]) =>
  snapEnding(0, ...wordsFor(root, ...more), set)

/** The points of a directory as line protocol. */
async function linesOf(root: string): Promise<string[]> {
  const words = ['export', '--data-dir', join(root, 'data'), '--format', 'lp', '-']
  const { stdout } = await snapEnding(0, ...words)
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .sort()
}

const linesAt = (...times: readonly number[]) => times.map((time) => `m value=${time} ${time}`)
const MERGED = [...linesAt(1, 2, 3, 9, 2 * HOUR), 'n value=5 5'].sort()

/** Expects a merge to be refused, with nothing changed. */
async function refused(root: string, ...more: readonly string[]): Promise<string> {
  const before = await treeOf(root)
  const { stderr } = await snapEnding(15, ...wordsFor(root, ...more), set)
  expect(await treeOf(root)).toEqual(before)
  return stderr
}

describe('a merge into directories', () => {
  it('merges the first hour there is, whose beginning wraps in the metastore', async () => {
    const first = { id: 1, hour: -2_562_048 }
    const [early, later] = [-9_223_370_000_000_000_000, -9_223_369_900_000_000_000]
    const of = (times: number[]): DirectorySpec => ({
      d: { r: { shards: [{ ...first, files: [{ m: times }] }] } },
    })
    const source = await makeDirectory(of([early, later]))
    const into = await tempDir('set')
    await snapEnding(0, 'backup', ...source.flags, into)
    for (const target of [of([later]), { d: { r: { shards: [] } } }]) {
      const { root } = await makeDirectory(target)
      await snapEnding(0, ...wordsFor(root), into)
      expect(await linesOf(root)).toEqual(await linesOf(source.root))
      await snapEnding(0, 'diff', into, '--data-dir', join(root, 'data'))
    }
  })

  it('makes what is missing, with owner and mode of what is there', async () => {
    const root = await live()
    const roots = ['data', 'wal', 'data/d/r/7'].map((name) => join(root, name))
    for (const path of roots) {
      await chmod(path, 0o750)
      if (IS_ROOT) await chown(path, 1234, 4321)
    }
    await merge(root)
    expect(await linesOf(root)).toEqual(MERGED)
    expect((await metastoreOf({ root })).shards).toEqual(['d/r/7', 'd/r/8'])
    const files = [join(shardOf(root), tsmName(1001)), join(root, 'data/d/r/8', tsmName(1000))]
    for (const path of files) {
      const { mode, uid, gid } = await stat(path)
      expect(mode & 0o777).toBe(0o640)
      if (IS_ROOT) expect([uid, gid]).toEqual([1234, 4321])
    }
  })

  it('fills a shard that only the metastore has', async () => {
    const root = await live({ isAbsent: true })
    await merge(root, '--index-version', 'tsi1')
    expect(await linesOf(root)).toEqual(MERGED.filter((line) => !line.endsWith(' 9')))
    expect(await readdir(join(shardOf(root), 'index'))).toEqual([])
  })

  it('changes nothing in a dry run', async () => {
    const root = await live()
    const before = await treeOf(root)
    const { stdout } = await merge(root, '--dry-run', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ added: 4, equal: 1, conflicting: 0, dryRun: true })
    expect(await treeOf(root)).toEqual(before)
  })

  it('takes a generation that no file has had, not one that left its tombstone either', async () => {
    const root = await live()
    const tombstone = encodeTombstones([{ key: Buffer.from(KEY), minTime: 0n, maxTime: 99n }])
    await writeFile(join(shardOf(root), '000001001-000000001.tombstone'), tombstone)
    await merge(root)
    expect(await readdir(shardOf(root))).toContain(tsmName(2001))
    expect(await linesOf(root)).toEqual(MERGED)
  })

  it('refuses a shard without room for further generations', async () => {
    const root = await live()
    await rename(join(shardOf(root), tsmName(1)), join(shardOf(root), tsmName(899_999_999)))
    expect(await refused(root)).toContain('no room for more')
  })

  it('takes values that line protocol cannot say', async () => {
    const source = await makeDirectory({ d: { r: { shards: [{ id: 1, hour: 0 }] } } })
    const times = BigInt64Array.from([1n, 4n])
    const values = Float64Array.from([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
    const bytes = await tsmBytes([[KEY, [{ type: 'float', times, values }]]])
    await writeFile(join(source.root, 'data/d/r/1', tsmName(1)), bytes)
    const odd = await tempDir('odd')
    await snapEnding(0, 'backup', ...source.flags, odd)
    const root = await live()
    const { stdout } = await snapEnding(0, ...wordsFor(root, '--json'), odd)
    expect(JSON.parse(stdout)).toMatchObject({ added: 2, unwritten: [] })
    const again = await snapEnding(0, ...wordsFor(root, '--json'), odd)
    expect(JSON.parse(again.stdout)).toMatchObject({ added: 0, equal: 2, conflicting: 0 })
  })

  it('reads an encrypted set', async () => {
    const source = await makeDirectory(BACKUP)
    const target = await tempDir('encrypted')
    const recipient = fixture('recipient.txt').toString().trim()
    await snapEnding(0, 'backup', ...source.flags, '--encrypt-to', recipient, target)
    const root = await live()
    await snapEnding(0, ...wordsFor(root, '--identity', fixturePath('key.txt')), target)
    expect(await linesOf(root)).toEqual(MERGED)
  })

  it('brings users with their hashes, and queries if they are asked for', async () => {
    const root = await live()
    const { stdout } = await merge(root, '--users')
    expect(stdout).toContain('query q on d: is not there')
    const { users } = await readMetastore({ root })
    expect(users.find(({ name }) => name === 'ana')).toMatchObject({
      hash: '$2a$10$ana',
      privileges: [{ database: 'd', privilege: 2 }],
    })
    await merge(root, '--missing-cq')
    const { databases } = await readMetastore({ root })
    expect(databases[0]?.continuousQueries.map(({ name }) => name)).toEqual(['q'])
  })

  it('lengthens a policy that would drop what it gets, if it may', async () => {
    const shards = [{ id: 7, hour: 0, files: [{ m: [2, 9] }] }]
    const { root } = await makeDirectory({ d: { r: { duration: 24 * HOUR, shards } } })
    expect(await refused(root)).toContain('is older than policy d.r keeps points')
    await merge(root, '--rp-duration', 'inf')
    expect(await linesOf(root)).toEqual(MERGED)
    const { databases } = await readMetastore({ root })
    expect(databases[0]?.retentionPolicies[0]?.duration).toBe(0n)
  })

  it.each([
    [16, 'has no points of this selection', ['--measurement', 'zz']],
    [15, 'field type conflict: value is boolean there', []],
  ] as const)('leaves policies as they are if nothing is merged: %i', async (...each) => {
    const [code, message, selection] = each
    const shards = [{ id: 7, hour: 0, files: [{ m: [2] }] }]
    const { root } = await makeDirectory({ d: { r: { duration: 24 * HOUR, shards } } })
    const truth = {
      type: 'boolean',
      times: BigInt64Array.of(9n),
      values: Uint8Array.of(1),
    } as const
    const bytes = await tsmBytes([['n#!~#value', [truth]]])
    await writeFile(join(shardOf(root), tsmName(9)), bytes)
    const words = wordsFor(root, '--rp-duration', 'inf', ...selection)
    const { stderr } = await snapEnding(code, ...words, set)
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('keeps points longer')
    const { databases } = await readMetastore({ root })
    expect(databases[0]?.retentionPolicies[0]?.duration).toBe(BigInt(24 * HOUR))
  })

  it('makes no directory and no metastore', async () => {
    const root = await live()
    const empty = await tempDir('empty')
    const nowhere = ['--wal-dir', join(root, 'nowhere'), '--meta-dir', join(root, 'meta')]
    expect(await refused(root, ...nowhere)).toContain('nowhere: no such directory')
    const meta = ['--wal-dir', join(root, 'wal'), '--meta-dir', empty]
    expect(await refused(root, ...meta)).toContain('there is no metastore')
    expect(await readdir(empty)).toEqual([])
  })

  it('says which options a stopped server has no use for', async () => {
    const root = await live()
    const more = ['--on-conflict', 'backup', '--replace-shard', '7']
    const { stderr } = await snapEnding(2, ...wordsFor(root, ...more), set)
    expect(stderr).toContain('--replace-shard cannot be used with --data-dir')
  })
})

describe('a merge that is not clear', () => {
  it.each([
    [['--missing-cq'], '--missing-cq goes with --merge'],
    [['--merge', '--missing-cq', '--no-cq'], '--missing-cq cannot be used with --no-cq'],
    [['--merge', '--users-file', 'x'], '--users-file goes with --users'],
    [['--merge', '--replaced-dir', 'x'], '--replaced-dir goes with --replace-shard'],
    [['--merge', '--http', 'http://127.0.0.1:1'], '--http is of a running server'],
  ])('is a usage error: %j', async (words, message) => {
    const { stderr } = await snapEnding(2, 'restore', '--data-dir', '/none', ...words, set)
    expect(stderr).toContain(message)
  })

  it('says that the metastore of the target is damaged, and what it only names', async () => {
    const root = await live()
    const { stdout } = await merge(root)
    expect(stdout).toContain('q on d: is not there, --missing-cq makes it')
    await writeFile(join(root, 'meta/meta.db'), 'x'.repeat(99))
    const { stderr } = await snapEnding(15, ...wordsFor(root), set)
    expect(stderr).toContain('put back a copy of meta.db')
  })
})

describe('groups of the same times', () => {
  const twoGroups = async (...files: readonly Record<string, number[]>[]) => {
    const shards = files.map((each, i) => ({ id: 7 + i, hour: 0, files: [each] }))
    return (await makeDirectory({ d: { r: { shards } } })).root
  }

  it.each([
    [{ m: [2, 9] }, { m: [1, 3] }],
    [{ m: [1, 3] }, { m: [2, 9] }],
  ])('are live all of them', async (...files) => {
    const root = await twoGroups(...files)
    const { stdout } = await merge(root, '--json')
    expect(JSON.parse(stdout)).toMatchObject({ added: 2, equal: 3, conflicting: 0 })
    const again = await merge(root, '--json')
    expect(JSON.parse(again.stdout)).toMatchObject({ added: 0, equal: 5, conflicting: 0 })
    expect(await linesOf(root)).toEqual(MERGED)
  })

  it('have rows that are not filled', async () => {
    for (const files of [
      [{ m: [9] }, { m: [2] }],
      [{ m: [2] }, { m: [9] }],
    ]) {
      const root = await twoGroups(...files)
      const { stdout } = await merge(root, '--json', '--on-conflict', 'fill-gaps')
      expect(JSON.parse(stdout)).toMatchObject({ added: 4, equal: 1, conflicting: 0 })
    }
  })
})

describe('a selection of points', () => {
  it.each([
    ['--measurement', 'zz'],
    ['--tag', 'host=zz'],
    ['--start', '1970-01-01T02:30:00Z', '--end', '1970-01-01T02:40:00Z'],
  ])('that the backup has none of is refused: %s %s', async (...selection) => {
    const root = await live()
    for (const more of [[], ['--dry-run']]) {
      const words = wordsFor(root, ...selection, ...more)
      const { stderr } = await snapEnding(16, ...words, set)
      expect(stderr).toContain('has no points of this selection')
    }
    expect(await linesOf(root)).toEqual(linesAt(2, 9))
  })

  it('that the target has already is none', async () => {
    const root = await live()
    await merge(root, '--measurement', 'n')
    await merge(root, '--measurement', 'n')
  })
})

describe('where the backup wins', () => {
  const BACKUP_WINS = ['--on-conflict', 'backup']
  const walOf = (root: string) => join(shardOf(root, 'wal'), '_00001.wal')

  /** The live shard has another value at 2, in its WAL. */
  async function conflicting(): Promise<string> {
    const root = await live()
    await mkdir(dirname(walOf(root)), { recursive: true })
    const entry = writeEntry({ type: 'float', key: KEY, points: [[2n, 22]] })
    await writeFile(walOf(root), entry)
    return root
  }

  it('one set of files takes the place of all others and of the WAL', async () => {
    const root = await conflicting()
    expect(await linesOf(root)).toEqual(['m value=22 2', 'm value=9 9'])
    const { stdout } = await merge(root, '--json', ...BACKUP_WINS)
    expect(JSON.parse(stdout)).toMatchObject({ added: 4, equal: 0, conflicting: 1 })
    expect(await linesOf(root)).toEqual(MERGED)
    expect(await readdir(shardOf(root))).toEqual([tsmName(1002)])
    expect(await readdir(dirname(walOf(root)))).toEqual([])
    await merge(root, ...BACKUP_WINS)
    expect(await readdir(shardOf(root))).toEqual([tsmName(1002)])
  })

  it('a shard whose WAL is damaged is left alone', async () => {
    const root = await conflicting()
    const bytes = await readFile(walOf(root))
    await writeFile(walOf(root), Buffer.concat([bytes, Buffer.from([9, 0, 0, 0, 1, 7]), bytes]))
    const files = [shardOf(root), dirname(walOf(root))]
    const before = await Promise.all(files.map(treeOf))
    const { stderr } = await snapEnding(15, ...wordsFor(root, ...BACKUP_WINS), set)
    expect(stderr).toContain('its WAL is damaged')
    expect(await Promise.all(files.map(treeOf))).toEqual(before)
    const merged = await merge(root)
    expect(merged.stderr).toContain('_00001.wal: ')
    await rm(walOf(root))
    expect(await linesOf(root)).toEqual(MERGED)
  })

  it('a live file that is damaged is the target’s', async () => {
    const root = await conflicting()
    const path = join(shardOf(root), tsmName(1))
    const bytes = await readFile(path)
    bytes[8] = (bytes[8] ?? 0) ^ 1
    await writeFile(path, bytes)
    const { stderr } = await snapEnding(15, ...wordsFor(root, ...BACKUP_WINS), set)
    expect(stderr).toContain('the live shard cannot be read')
    expect(stderr).toContain('the file is damaged on the server')
    expect(await readFile(path)).toEqual(bytes)
  })

  it('what a killed run has left is done again', async () => {
    const root = await conflicting()
    await merge(root, ...BACKUP_WINS)
    await writeFile(join(shardOf(root), 'snap-restore.pending'), '')
    await mkdir(join(shardOf(root), 'snap-restore.tmp'))
    const old = await tsmBytes([
      [KEY, [{ type: 'float', times: BigInt64Array.of(2n), values: Float64Array.of(22) }]],
    ])
    await writeFile(join(shardOf(root), tsmName(3)), old)
    await merge(root)
    expect(await readdir(shardOf(root))).toEqual([tsmName(2002)])
    expect(await linesOf(root)).toEqual(MERGED)
  })
})
