import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { SnapError } from '../../../src/errors.ts'
import { thisProcess } from '../../../src/io/process-owner.ts'
import { type Data, emptyData, findDatabase } from '../../../src/meta/index.ts'
import { RequestType } from '../../../src/protocol/index.ts'
import { tsmBytes } from '../../datadir/shard-files.ts'
import { directoryAt, makeDirectory, metastoreOf, SAMPLE } from '../../helpers/data-directory.ts'
import { startFaultProxy } from '../../helpers/fault-proxy.ts'
import { CAN_MOUNT, mountMemory } from '../../helpers/file-systems.ts'
import { describeWithInfluxd, startInfluxd } from '../../helpers/influxd.ts'
import { tempDir } from '../../helpers/temp.ts'
import { treeOf } from '../../helpers/tree.ts'
import { serveDirectory } from '../../operations/servers.ts'
import { serve as serveStore } from '../../service/harness.ts'
import { MemoryStore } from '../../service/memory-store.ts'
import { finish, finishJson, worldOf } from './snap.ts'
import { backedUp, newDirectory } from './targets.ts'

/** A store whose uploads fail while `fails` says so. */
class Failing extends MemoryStore {
  fails: (id: bigint) => boolean = () => false
  /** What is left of an upload that failed. */
  leaves: Readonly<Record<string, Buffer>> = {}
  uploads = 0

  override async restoreShard(id: bigint, r: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.uploads++
    if (!this.fails(id)) return await super.restoreShard(id, r, signal)
    for await (const _ of r);
    for (const [name, bytes] of Object.entries(this.leaves))
      this.shards.get(id)?.files.set(name, { bytes, mtime: new Date(0) })
    throw new SnapError('E_DESTINATION', 'no')
  }
}

async function serveFailing<T extends MemoryStore>(make: (data: Data) => T) {
  const data = emptyData()
  data.clusterId = 99n
  const store = make(data)
  const { host } = await serveStore(store)
  return { store, host }
}

/** Runs restores that share the state of one user. */
async function user(env: Readonly<Record<string, string>> = {}) {
  const home = await tempDir('home')
  const state = join(home, '.local/state/influx-snap')
  return {
    state,
    restore: async (...words: string[]) =>
      await finishJson(await worldOf(['restore', ...words, '--json'], { HOME: home, ...env })),
    journals: async () => await readdir(state).catch(() => []),
  }
}

const ONE = ['--db', 'two words']

describe('an upload that breaks off', () => {
  it('is tried again once the shard was looked at', async () => {
    const { store, host } = await serveFailing((data) => new Failing(data))
    store.fails = () => store.uploads === 1
    const { restore, journals } = await user()
    const { code, document, stderr } = await restore('--host', host, ...ONE, await backedUp())
    expect(code, stderr).toBe(0)
    expect(document.shards).toMatchObject([{ shardId: '10', resumed: false }])
    expect(stderr).toMatch(
      /^warning: shard 10 \(two words\.autogen\): try 1 failed, next in 500 ms/m,
    )
    // The failed one, one that makes the server tidy up, and the good one.
    expect(store.uploads).toBe(3)
    expect(await journals()).toEqual([])
  })

  it('is not sent again over what somebody else has written', async () => {
    const { store, host } = await serveFailing((data) => new Failing(data))
    store.fails = () => store.uploads === 1
    store.leaves = { '000000001-000000001.tsm': Buffer.from(await tsmBytes({ other: [[1]] })) }
    const { restore } = await user()
    const { code, error } = await restore('--host', host, ...ONE, await backedUp())
    expect(code).toBe(15)
    expect(error?.message).toBe(
      'shard 1 (two words.autogen) holds 000000001-000000001.tsm, which is not of this restore',
    )
    expect(error?.hint).toContain('something writes to the new database')
  })

  it('is not sent again if all of it arrived', async () => {
    const { store, host } = await serveFailing((data) => new Failing(data))
    const bytes = Buffer.from(await tsmBytes({ 'm ö': [[11, 12]], writer: [[1, 2]] }))
    store.fails = () => store.uploads === 1
    store.leaves = { '000000007-000000001.tsm': bytes }
    const { restore } = await user()
    const { code, stderr } = await restore('--host', host, ...ONE, await backedUp())
    expect(code, stderr).toBe(0)
    expect(store.uploads).toBe(2)
    expect(stderr).toContain(
      'warning: something writes to shard 1 (two words.autogen): it has 2 more points than were restored',
    )
  })

  it('ends the run after the last try, which says what is left and keeps its state', async () => {
    const { store, host } = await serveFailing((data) => new Failing(data))
    store.fails = () => true
    const { restore, journals } = await user()
    const words = ['--host', host, '--retries', '0', ...ONE, await backedUp()]
    const { code, error, stderr } = await restore(...words)
    expect(code).toBe(15)
    expect(error?.hint).toContain(
      `incomplete on ${host}: "two words"; --resume goes on with it, DROP DATABASE "two words" removes it`,
    )
    expect(stderr).toContain(`error: left on ${host}: database "two words": shards empty: 1`)
    expect(await journals()).toHaveLength(1)
    const again = await restore(...words)
    expect(again.code).toBe(17)
    expect(again.error?.hint).toContain('a restore of the same was interrupted: --resume goes on')
  })
})

describe('snap restore --resume', () => {
  /** A restore of everything of which one shard could not be restored. */
  async function broken() {
    const { store, host } = await serveFailing((data) => new Failing(data))
    const made = await user()
    const set = await backedUp()
    store.fails = (id) => id === 2n
    const words = ['--host', host, '--retries', '0', '--jobs', '1', set]
    const { code } = await made.restore(...words)
    expect(code).toBe(15)
    store.fails = () => false
    store.uploads = 0
    return { store, host, words, ...made }
  }

  it('goes on where the last run has stopped', async () => {
    const { words, restore, journals } = await broken()
    const { code, document, stderr } = await restore('--resume', ...words)
    expect(code, stderr).toBe(0)
    const resumed = document.shards.map(({ shardId, ...shard }: Record<string, unknown>) => [
      shardId,
      shard['resumed'],
    ])
    expect(resumed).toEqual([
      ['1', true],
      ['2', false],
      ['3', false],
      ['10', false],
    ])
    expect(await journals()).toEqual([])
  })

  it('believes what was done with --no-readback', async () => {
    const { words, restore, store } = await broken()
    const { code, document } = await restore('--resume', '--no-readback', ...words)
    expect(code).toBe(0)
    expect(document.shards[0]).toMatchObject({ shardId: '1', resumed: true, bytes: 0 })
    expect(store.shards.size).toBe(4)
  })

  it('keeps what is there when it fails once more', async () => {
    const { store, host, words, restore } = await broken()
    store.fails = (id) => id === 2n
    const { code, error } = await restore('--resume', ...words)
    expect(code).toBe(15)
    expect(error?.hint).toContain(`incomplete on ${host}: "telegraf"; --resume goes on with it`)
    expect(error?.hint).not.toContain('DROP')
  })

  it('begins anew with what was dropped meanwhile', async () => {
    const { store, words, restore } = await broken()
    const data = store.data()
    data.databases = []
    await store.setData(data)
    const { code, document } = await restore('--resume', ...words)
    expect(code).toBe(0)
    expect(document.shards.map(({ resumed }: { resumed: boolean }) => resumed)).toEqual(
      Array(4).fill(false),
    )
  })

  it('does not go on with a database that has lost a shard', async () => {
    const { store, host, words, restore } = await broken()
    const data = store.data()
    const [policy] = findDatabase(data, 'telegraf')?.retentionPolicies ?? []
    if (policy !== undefined) policy.shardGroups = policy.shardGroups.slice(1)
    await store.setData(data)
    const { code, error } = await restore('--resume', ...words)
    expect(code).toBe(17)
    expect(error?.message).toBe(
      `database "telegraf" on ${host} has no shard 1 any more: the restore that was interrupted cannot go on`,
    )
  })

  it('needs a state of an earlier run', async () => {
    const { words, restore, state } = await broken()
    await rm(state, { recursive: true })
    const { code, error } = await restore('--resume', ...words)
    expect(code).toBe(17)
    expect(error?.message).toMatch(/^database "telegraf" exists on /)
  })

  it('waits for nobody who does the same', async () => {
    const { words, restore, state, journals } = await broken()
    const [name = ''] = await journals()
    const text = await readFile(join(state, name), 'utf8')
    const [header = '', ...lines] = text.split('\n')
    const other = { ...JSON.parse(header), owner: { ...thisProcess(), pid: process.ppid } }
    other.owner.host = 'elsewhere'
    await writeFile(join(state, name), [JSON.stringify(other), ...lines].join('\n'))
    const { code, error } = await restore('--resume', ...words)
    expect(code).toBe(11)
    expect(error?.message).toContain(`process ${process.ppid} does this restore`)
  })

  it('takes a line of the state that was cut for not written', async () => {
    const { words, restore, state, journals } = await broken()
    const [name = ''] = await journals()
    const path = join(state, name)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.slice(0, text.lastIndexOf('{') + 5))
    const { code, document } = await restore('--resume', ...words)
    expect(code).toBe(0)
    // Not known to be restored, it was looked at, and found.
    expect(document.shards[0]).toMatchObject({ shardId: '1', resumed: true })
  })
})

describe('the state of a restore', () => {
  it('that cannot be kept is said, and needed only to go on', async () => {
    const home = await tempDir('home')
    await writeFile(join(home, 'file'), '')
    const { host } = await serveFailing((data) => new Failing(data))
    const { restore } = await user({ XDG_STATE_HOME: join(home, 'file') })
    const words = ['--host', host, ...ONE, await backedUp()]
    const { code, stderr } = await restore(...words)
    expect(code).toBe(0)
    expect(stderr).toContain('warning: this restore cannot be resumed: ')
    const { host: other } = await serveFailing((data) => new Failing(data))
    const again = ['--resume', '--host', other, ...ONE, words.at(-1) ?? '']
    expect((await restore(...again)).code).toBe(15)
  })

  it('is read within bounds, and only if it is one', async () => {
    const { restore, state, journals } = await user()
    const { store, host } = await serveFailing((data) => new Failing(data))
    store.fails = () => true
    const words = ['--host', host, '--retries', '0', ...ONE, await backedUp()]
    await restore(...words)
    const [name = ''] = await journals()
    await writeFile(join(state, name), 'rubbish')
    expect((await restore(...words)).code).toBe(17)
    await rm(join(state, name))
    await mkdir(join(state, name))
    const { stderr } = await restore(...words)
    expect(stderr).toContain('warning: this restore cannot be resumed: ')
  })
})

/** Fills a file system but for some 16 KiB. */
async function fill(root: string): Promise<void> {
  const write = (name: string) =>
    writeFile(join(root, name), Buffer.alloc(4096)).then(
      () => true,
      () => false,
    )
  let files = 0
  while (await write(`filler${files}`)) files++
  for (let left = 0; left <= 4; left++) await rm(join(root, `filler${files - left}`))
}

describe('a data directory', () => {
  it.skipIf(!CAN_MOUNT)('is as before when a restore into it fails', async () => {
    const root = await mountMemory('size=200k')
    const target = directoryAt(root)
    const set = await backedUp()
    const { restore } = await user()
    expect((await restore(...target.flags, ...ONE, '--newdb', 'kept', set)).code).toBe(0)
    const before = await treeOf(join(root, 'data'))
    await fill(root)
    const { code, error, stderr } = await restore(...target.flags, set)
    expect(code, stderr).toBe(15)
    expect(error?.message).toContain('ENOSPC')
    expect(await treeOf(join(root, 'data'))).toEqual(before)
    expect((await metastoreOf(target)).databases).toEqual(['kept'])
  })

  it('is as before when a restore into it is interrupted', async () => {
    const target = await makeDirectory({ other: SAMPLE['two words'] ?? {} })
    const before = await treeOf(join(target.root, 'data'))
    const set = await backedUp()
    const words = ['restore', ...target.flags, '--limit-rate', '100', set]
    const context = await worldOf(words)
    const running = finish(context)
    await vi.waitFor(() => expect(context.stderr.text).toContain('restore: 4 shards'), 20_000)
    const isMade = async () => expect((await metastoreOf(target)).databases).toContain('telegraf')
    await vi.waitFor(isMade, 20_000)
    await sleep(100)
    context.signals.emit('SIGINT')
    const { code, stderr } = await running
    expect(code).toBe(130)
    expect(stderr).toMatch(/removed database "telegraf" from .* again/)
    expect(stderr).toMatch(/\(E_INTERRUPTED\)\nhint: what was made on .* was removed again\n$/)
    expect(await treeOf(join(target.root, 'data'))).toEqual(before)
    expect((await metastoreOf(target)).databases).toEqual(['other'])
  })
})

describe('a server that gives no answer any more', () => {
  it('is left as it is, with a word about it', async () => {
    const directory = await newDirectory()
    const { host } = await serveDirectory(directory, 'read-write')
    let isGone = false
    const proxy = await startFaultProxy(host, (type) => {
      isGone ||= type === RequestType.MetaStoreUpdate
      return { refuse: isGone }
    })
    const { restore } = await user()
    const words = ['--host', proxy.host, '--retries', '0', ...ONE, await backedUp()]
    const { code, stderr } = await restore(...words)
    await proxy.close()
    expect(code).toBe(15)
    expect(stderr).toContain('database "two words": the server does not answer')
  })
})

describe('the HTTP API', () => {
  it('that was named must be of the same server', async () => {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          results: [{ series: [{ name: 'databases', columns: ['name'], values: [['x']] }] }],
        }),
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
    const { host } = await serveFailing((data) => new Failing(data))
    const { restore } = await user()
    const { code, error } = await restore('--host', host, '--http', url, ...ONE, await backedUp())
    expect(code).toBe(15)
    expect(error?.message).toContain(`${url} is not the server at ${host}`)
  })
})

describeWithInfluxd('a real server', () => {
  it('is cleaned up over HTTP', async () => {
    const server = await startInfluxd()
    onTestFinished(() => server.dispose())
    await server.query('CREATE DATABASE kept')
    await server.write('m v=1 1', { db: 'kept' })
    const set = await backedUp()
    const cut = { toServer: { cut: { after: 40, how: 'rst' } } } as const
    const proxy = await startFaultProxy(server.host, (type) =>
      type === RequestType.ShardUpdate ? cut : {},
    )
    const { restore } = await user()
    const words = ['--host', proxy.host, '--http', server.httpUrl, '--retries', '0', ...ONE, set]
    const { code, error } = await restore(...words)
    await proxy.close()
    expect(code).toBe(15)
    expect(error?.hint).toContain('was removed again')
    const [names] = await server.query('SHOW DATABASES')
    expect(names?.values?.flat()).toEqual(['kept'])
  })
})
