import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { tarOf, tsmBytes } from '../../datadir/shard-files.ts'
import {
  dataOf,
  makeDirectory,
  metastoreOf,
  pointsIn,
  pointsOnDisk,
  SAMPLE,
} from '../../helpers/data-directory.ts'
import { tempDir } from '../../helpers/temp.ts'
import { serveDirectory } from '../../operations/servers.ts'
import { serve as serveStore } from '../../service/harness.ts'
import { MemoryStore } from '../../service/memory-store.ts'
import { expectCode, snap } from './snap.ts'
import { backedUp, newDirectory } from './targets.ts'

const LEGACY = join(import.meta.dirname, '../../fixtures/legacy/increments')

async function archiveIn(set: string, shardId: string): Promise<string> {
  const found = (await readdir(set)).find((name) => name.endsWith(`.s${shardId}.tar.gz`))
  return join(set, found ?? '')
}

/** An empty directory that takes restores. */
async function writable() {
  const directory = await newDirectory()
  return { directory, ...(await serveDirectory(directory, 'read-write')) }
}

describe('snap update-meta and snap upload-shard', () => {
  it('bring in pieces what restore brings as a whole', async () => {
    const set = await backedUp()
    const { directory, host, stop } = await writable()
    const made = await expectCode(0, 'update-meta', '--host', host, set)
    expect(Object.keys(made.document.shards)).toEqual(['1', '2', '3', '10'])
    for (const [from, to] of Object.entries<string>(made.document.shards)) {
      const ids = ['--shard', from, '--to-shard', to]
      const archive = await archiveIn(set, from)
      const { document } = await expectCode(0, 'upload-shard', '--host', host, ...ids, archive)
      expect(document).toMatchObject({ target: host, from: { shardId: from }, to: { shardId: to } })
    }
    await stop()
    expect(await pointsOnDisk(directory)).toEqual(pointsIn())
  })
})

describe('a dry run of snap update-meta and snap upload-shard', () => {
  it('checks everything, says what it would do, and does nothing', async () => {
    const set = await backedUp()
    const { directory, host } = await writable()
    const words = ['update-meta', '--host', host, '--dry-run', '--db', 'telegraf', '--newdb', 't']
    const plan = await expectCode(0, ...words, set)
    expect(plan.document).toMatchObject({ dryRun: true, shards: {} })
    expect(plan.document.planned).toHaveLength(3)
    expect((await snap(...words, set)).stdout).toMatch(
      /^would make telegraf as t: 3 shards, empty, on 127\.0\.0\.1:\d+\n {2}shard 1 telegraf\/autogen\n/,
    )
    expect((await metastoreOf(directory)).databases).toEqual([])
    await expectCode(0, 'update-meta', '--host', host, set)
    await expectCode(17, ...words, '--newdb', 'telegraf', set)
    const upload = ['upload-shard', '--host', host, '--dry-run', await archiveIn(set, '10')]
    const { document } = await expectCode(0, ...upload, '--to-shard', '4')
    expect(document).toMatchObject({ dryRun: true, files: 1, to: { shardId: '4' } })
    expect((await snap(...upload, '--to-shard', '4')).stdout).toMatch(/^would upload 1 file, /)
    await expectCode(15, ...upload, '--to-shard', '99')
    expect(await pointsOnDisk(directory)).toEqual([])
  })
})

describe('snap update-meta', () => {
  it('makes one database under new names and prints the map', async () => {
    const set = await backedUp()
    const { directory, host } = await writable()
    const words = ['--db', 'telegraf', '--newdb', 't', '--rp', 'autogen', '--newrp', 'raw']
    const { code, stdout } = await snap('update-meta', '--host', host, ...words, set)
    expect([code, stdout]).toEqual([0, '1 1\n2 2\n'])
    expect(await metastoreOf(directory)).toEqual({
      databases: ['t'],
      shards: ['t/raw/1', 't/raw/2'],
    })
  })

  it('makes those of a legacy directory', async () => {
    const { host } = await writable()
    const { document } = await expectCode(0, 'update-meta', '--host', host, '--db', 'plain', LEGACY)
    expect(document).toMatchObject({ set: null, databases: [{ from: 'plain', to: 'plain' }] })
    expect(document.shards).toEqual({ 1: '1' })
  })

  it('prints nothing for a database without shards', async () => {
    const { host } = await writable()
    const words = ['update-meta', '--host', host, '--db', 'empty', await backedUp()]
    expect(await snap(...words)).toMatchObject({ code: 0, stdout: '' })
  })

  it('leaves a database that is there alone', async () => {
    const set = await backedUp()
    const directory = await makeDirectory()
    const { host } = await serveDirectory(directory, 'read-write')
    const { error } = await expectCode(17, 'update-meta', '--host', host, set)
    expect(error?.message).toBe(`database "telegraf" exists on ${host}`)
  })

  it('refuses a line without SOURCE', async () => {
    expect((await expectCode(2, 'update-meta')).error?.message).toBe('missing SOURCE')
  })
})

describe('snap upload-shard', () => {
  /** A server with the sample's databases made, empty, under the ids of the sample in their order. */
  async function prepared() {
    const set = await backedUp()
    const server = await writable()
    await expectCode(0, 'update-meta', '--host', server.host, set)
    return { set, ...server, to: ['--host', server.host] }
  }

  it('takes a plain tar, and gives it other names', async () => {
    const { set, directory, to, stop } = await prepared()
    await expectCode(0, 'update-meta', ...to, '--db', 'two words', '--newdb', 'n', set)
    const tar = join(await tempDir('tar'), 'shard.tar')
    await writeFile(tar, gunzipSync(await readFile(await archiveIn(set, '10'))))
    const words = ['--to-shard', '5', '--newdb', 'n', '--newrp', 'autogen', tar]
    const { code, stdout, stderr } = await snap('upload-shard', ...to, ...words)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(
      /^uploaded 1 file, \d+ B, into shard 5 of n\.autogen on 127\.0\.0\.1:\d+\n$/,
    )
    await stop()
    expect(await pointsOnDisk(directory)).toEqual(['n/autogen m ö 11', 'n/autogen m ö 12'])
  })

  it('goes to the same id where no other is given', async () => {
    const { set, to } = await prepared()
    const { document } = await expectCode(
      0,
      ...['upload-shard', ...to, '--shard', '1', '--no-readback', await archiveIn(set, '1')],
    )
    expect(document).toMatchObject({ from: { shardId: '1' }, to: { shardId: '1' }, files: 2 })
  })

  it.each([
    ['is given', ['--shard', '2', '--to-shard', '1']],
    ['is given twice', ['--shard', '2']],
  ])('ends with 16 where another shard than the archive has %s', async (_, ids) => {
    const { set, to } = await prepared()
    const archive = await archiveIn(set, '1')
    const { error } = await expectCode(16, 'upload-shard', ...to, ...ids, archive)
    expect(error?.message).toBe(`${archive} holds shard 1, expected 2`)
  })

  it.each([
    ['no such shard', ['--to-shard', '99'], 'shard 99 in two words.autogen'],
    ['the shard elsewhere', ['--to-shard', '1'], 'shard 1 in two words.autogen'],
    ['it under another name', ['--to-shard', '4', '--newdb', 'x'], 'shard 4 in x.autogen'],
    ['it under another policy', ['--to-shard', '4', '--newrp', 'x'], 'shard 4 in two words.x'],
  ])('ends with 15 where the server has %s', async (_, words, what) => {
    const { set, to, host } = await prepared()
    const archive = await archiveIn(set, '10')
    const { error } = await expectCode(15, 'upload-shard', ...to, ...words, archive)
    expect(error?.message).toBe(`${host} has no ${what}`)
    expect(error?.hint).toContain('snap update-meta')
  })

  it('ends with 15 where the points are of another time than the shard', async () => {
    const { set, to, directory } = await prepared()
    const archive = await archiveIn(set, '2')
    const { error } = await expectCode(15, 'upload-shard', ...to, '--to-shard', '1', archive)
    expect(error?.message).toBe(
      `${archive} holds points from 1970-01-01T01:00:00Z to 1970-01-01T01:00:00.000000001Z, ` +
        'shard 1 (telegraf.autogen) is for those from 1970-01-01T00:00:00Z to before 1970-01-01T01:00:00Z',
    )
    expect(await pointsOnDisk(directory)).toEqual([])
  })

  it('refuses a line without an id, or without ARCHIVE', async () => {
    const { error } = await expectCode(2, 'upload-shard', 'a.tar')
    expect(error).toMatchObject({ message: 'missing --to-shard' })
    expect((await expectCode(2, 'upload-shard')).error?.message).toBe('missing ARCHIVE')
  })

  it('ends with 10 where there is no such file', async () => {
    for (const path of ['/no/such/file', await tempDir('directory')]) {
      await expectCode(10, 'upload-shard', '--to-shard', '1', path)
    }
  })

  it('ends with 16 where nothing is in it', async () => {
    const path = join(await tempDir('tar'), 'empty.tar')
    await writeFile(path, Buffer.alloc(1024))
    const { error } = await expectCode(16, 'upload-shard', '--to-shard', '1', path)
    expect(error?.message).toContain('empty.tar holds no files')
  })

  const good = async () =>
    await tarOf({ '000000001-000000001.tsm': await tsmBytes({ m: [[1, 2]] }) })

  it.each([
    ['cut in its first header', async () => (await good()).subarray(0, 300)],
    ['cut in a file', async () => (await good()).subarray(0, 600)],
    ['without its end', async () => (await good()).subarray(0, -512)],
    ['of rubbish', async () => Buffer.alloc(4096, 'rubbish')],
    ['of damaged gzip', async () => Buffer.from('\x1f\x8b rubbish', 'latin1')],
    ['with a damaged TSM file', async () => await tarOf({ '000000001-000000001.tsm': 'rubbish' })],
  ])('ends with 13 at an archive %s', async (_, make) => {
    const path = join(await tempDir('tar'), 'bad.tar')
    await writeFile(path, await make())
    const { error } = await expectCode(13, 'upload-shard', '--to-shard', '1', path)
    expect(error?.message).toContain('bad.tar')
  })

  it('ends with 15 where the server throws away what it is sent', async () => {
    class Dropping extends MemoryStore {
      override async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
        await super.restoreShard(id, r, signal)
        this.shards.get(id)?.files.clear()
      }
    }
    const set = await backedUp()
    const store = new Dropping(dataOf(SAMPLE))
    store.addShard('two words/autogen/10')
    const { host } = await serveStore(store)
    const words = ['--host', host, '--to-shard', '10', await archiveIn(set, '10')]
    const { error } = await expectCode(15, 'upload-shard', ...words)
    expect(error?.message).toContain('shard 10 (two words.autogen) does not hold what was sent')
    await expectCode(0, 'upload-shard', '--no-readback', ...words)
  })
})
