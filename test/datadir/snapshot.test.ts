import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openSnapshot, type ShardSnapshot } from '../../src/datadir/snapshot.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { makeShardFiles, tsmName } from './shard-files.ts'

const { signal } = new AbortController()

async function textOf(file: ShardSnapshot['wal'][number]): Promise<string> {
  return Buffer.from(await file.access.read(0, file.size)).toString()
}

describe('openSnapshot', () => {
  it('holds TSM files with their tombstones and the WAL in order, and leaves no trace', async () => {
    const dir = await tempDir('snapshot')
    const directories = await makeShardFiles(dir, {
      data: {
        [tsmName(2)]: 'two',
        [tsmName(1)]: 'one',
        '000000001-000000001.tombstone': 'deletes',
        '000000009-000000001.tombstone': 'orphan',
        '000000003-000000001.tsm.tmp': 'compacting',
        'fields.idx': 'fields',
      },
      wal: { '_00002.wal': 'newer', '_00001.wal': 'older', other: '' },
    })
    const before = await treeOf(dir)
    const snapshot = await openSnapshot(directories, signal)
    expect(snapshot.exact).toBe(true)
    expect(snapshot.tsm.map(({ name, size, tombstone }) => [name, size, tombstone?.name])).toEqual([
      [tsmName(1), 3, '000000001-000000001.tombstone'],
      [tsmName(2), 3, undefined],
    ])
    expect(await Promise.all(snapshot.wal.map(textOf))).toEqual(['older', 'newer'])
    expect(snapshot.tsm[0]?.mtime).toBeGreaterThan(1_600_000_000_000_000_000n)
    await snapshot.close()
    await snapshot.close()
    expect(await treeOf(dir)).toEqual(before)
  })

  it('reads what was there, whatever becomes of the names', async () => {
    const dir = await tempDir('snapshot')
    const name = tsmName(1)
    const directories = await makeShardFiles(dir, {
      data: { [name]: 'old' },
      wal: { '_00001.wal': 'wal' },
    })
    const snapshot = await openSnapshot(directories, signal)
    await writeFile(join(directories.dataPath, 'new'), 'new')
    await rename(join(directories.dataPath, 'new'), join(directories.dataPath, name))
    await writeFile(join(directories.walPath, '_00001.wal'), ' and more', { flag: 'a' })
    await rm(directories.walPath, { recursive: true })
    expect(await Promise.all([...snapshot.tsm, ...snapshot.wal].map(textOf))).toEqual([
      'old',
      'wal',
    ])
    await snapshot.close()
  })

  it('takes a shard without any file and without a WAL directory', async () => {
    const dir = await tempDir('snapshot')
    const { dataPath, walPath } = await makeShardFiles(dir, {})
    await rm(walPath, { recursive: true })
    const snapshot = await openSnapshot({ dataPath, walPath }, signal)
    expect(snapshot).toMatchObject({ tsm: [], wal: [], exact: true })
    await snapshot.close()
  })

  it('refuses a shard whose directory is gone', async () => {
    const path = join(await tempDir('snapshot'), 'none')
    const opening = openSnapshot({ dataPath: path, walPath: path }, signal)
    await expect(opening).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: `${path}: the shard is gone`,
    })
  })

  it.each([
    ['a name that influxd cannot parse', (path: string) => writeFile(join(path, 'x.tsm'), '')],
    ['a directory for a file', (path: string) => mkdir(join(path, tsmName(1)))],
    ['a symbolic link', (path: string) => symlink('/etc/passwd', join(path, tsmName(1)))],
    // To open it for reading alone would wait for who writes into it.
    ['a pipe', async (path: string) => void spawnSync('mkfifo', [join(path, tsmName(1))])],
  ])('refuses %s', async (_, make) => {
    const directories = await makeShardFiles(await tempDir('snapshot'), {})
    await make(directories.dataPath)
    await expect(openSnapshot(directories, signal)).rejects.toMatchObject({ code: 'E_SOURCE' })
  })

  it('passes on what the file system says', async () => {
    const dir = await tempDir('snapshot')
    const directories = await makeShardFiles(dir, {})
    await writeFile(join(dir, 'file'), '')
    const path = join(dir, 'file/below')
    for (const wrong of [{ dataPath: path }, { walPath: path }]) {
      const opening = openSnapshot({ ...directories, ...wrong }, signal)
      await expect(opening).rejects.toMatchObject({ code: 'E_SOURCE' })
    }
  })

  it('stops when it is told to', async () => {
    const directories = await makeShardFiles(await tempDir('snapshot'), {})
    const aborted = AbortSignal.abort(new Error('enough'))
    await expect(openSnapshot(directories, aborted)).rejects.toThrow('enough')
  })
})

describe('openSnapshot with few descriptors', () => {
  it('says which limit to raise, and lets go of what it had', async () => {
    const data = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [tsmName(i + 1), 'x']))
    const directories = await makeShardFiles(await tempDir('snapshot'), { data })
    const open = () => readdirSync('/proc/self/fd').length
    const setLimit = (limit: string) =>
      spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${limit}`])
    const { stdout } = spawnSync('prlimit', [
      '--pid',
      String(process.pid),
      '--nofile',
      '-o',
      'SOFT',
    ])
    const before = open()
    if (setLimit('200:').status !== 0) return
    try {
      await expect(openSnapshot(directories, signal)).rejects.toMatchObject({
        code: 'E_SOURCE',
        message: expect.stringContaining('too many files are open'),
        hint: expect.stringContaining('ulimit -n'),
      })
    } finally {
      setLimit(`${/[0-9]+/.exec(String(stdout))?.[0]}:`)
    }
    expect(open()).toBe(before)
    await (await openSnapshot(directories, signal)).close()
  })
})

/** Flushes and compacts as influxd does until told to stop; a file holds the numbers `from-to`. */
async function churn(
  { dataPath, walPath }: { dataPath: string; walPath: string },
  isDone: () => boolean,
): Promise<void> {
  const segment = (n: number) => join(walPath, `_${String(n).padStart(5, '0')}.wal`)
  const publish = async (path: string, text: string) => {
    await writeFile(`${path}.tmp`, text)
    await rename(`${path}.tmp`, path)
  }
  let files: string[] = []
  for (let n = 1; !isDone(); n++) {
    await writeFile(segment(n + 1), `${n + 1}-${n + 1}`)
    files.push(join(dataPath, tsmName(n)))
    await publish(files.at(-1) ?? '', `${n}-${n}`)
    await unlink(segment(n))
    if (n % 4 === 0) {
      const merged = join(dataPath, tsmName(n, 2))
      await publish(merged, `1-${n}`)
      for (const file of files) await unlink(file)
      files = [merged]
    }
    await sleep(1)
  }
}

describe('openSnapshot beside a writer', () => {
  it('never misses what was written when it began', async () => {
    const dir = await tempDir('snapshot')
    const directories = await makeShardFiles(dir, { wal: { '_00001.wal': '1-1' } })
    let done = false
    const writer = churn(directories, () => done)
    for (let round = 0; round < (process.env['SLOW'] === '1' ? 1000 : 20); round++) {
      const snapshot = await openSnapshot(directories, signal)
      const ranges = await Promise.all([...snapshot.tsm, ...snapshot.wal].map(textOf))
      let reached = 0
      for (const range of ranges.map((text) => text.split('-').map(Number))) {
        const [from = 0, to = 0] = range
        expect(from).toBeLessThanOrEqual(reached + 1)
        reached = Math.max(reached, to)
      }
      await snapshot.close()
    }
    done = true
    await writer
  })
})
