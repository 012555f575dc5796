import type { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { SnapError } from '../../src/errors.ts'
import { bytesAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { listShard, type ReadBackOptions, readBack } from '../../src/operations/readback.ts'
import type { ShardContent } from '../../src/operations/restore-content.ts'
import { restoreShard } from '../../src/operations/restore-shard.ts'
import { describeFile } from '../../src/operations/upload-shard.ts'
import { tsmBytes } from '../datadir/shard-files.ts'
import { type DirectorySpec, dataOf } from '../helpers/data-directory.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { tempDir } from '../helpers/temp.ts'
import { serve } from '../service/harness.ts'
import { MemoryStore } from '../service/memory-store.ts'

const SPEC: DirectorySpec = { d: { r: { shards: [{ id: 7, hour: 0 }] } } }
const SHARD = { database: 'd', retentionPolicy: 'r', shardId: 7n }
const NAME = '000000001-000000001.tsm'
const { signal } = new AbortController()
const TEMP = await tempDir('readback')

/** A shard that is closed for a while, or for ever. */
class ClosedStore extends MemoryStore {
  /** Answers that are still to be empty. */
  closed = 0
  reads = 0
  uploads = 0

  override async backupShard(id: bigint, since: bigint, w: Writable, stop: AbortSignal) {
    this.reads++
    if (this.closed-- > 0) throw new SnapError('E_SOURCE', 'engine is closed')
    await super.backupShard(id, since, w, stop)
  }

  override async restoreShard(...args: Parameters<MemoryStore['restoreShard']>) {
    this.uploads++
    await super.restoreShard(...args)
  }
}

async function served(files: Readonly<Record<string, Uint8Array | string>> = {}) {
  const store = new ClosedStore(dataOf(SPEC))
  store.addShard('d/r/7', files)
  const { host } = await serve(store)
  return { store, host }
}

function optionsFor(host: string, more: Partial<ReadBackOptions> = {}): ReadBackOptions {
  const server = { client: new Client(host), name: host }
  return { server, tempDir: TEMP, attempts: 1, signal, ...more }
}

/** The content of a shard: one TSM file with these times. */
async function contentOf(...times: number[]): Promise<ShardContent & { readonly bytes: Buffer }> {
  const bytes = await tsmBytes({ m: [times] })
  const entry = { name: `d/r/1/${NAME}`, size: bytes.length, mtime: new Date(0), body: [bytes] }
  return {
    ...{ database: 'd', retentionPolicy: 'r', shardId: 1n, bytes },
    entries: async function* () {
      yield entry
    },
  }
}

async function sentOf(content: ShardContent) {
  const sent = []
  for await (const { body } of content.entries(signal)) sent.push(await describeFile(NAME, body))
  return sent
}

describe('reading back', () => {
  it('waits for a shard that the server has closed, and has it opened again', async () => {
    const { store, host } = await served({ [NAME]: 'x' })
    store.closed = 8
    const found = await listShard(SHARD, optionsFor(host))
    expect([...found.keys()]).toEqual([NAME])
    expect([store.reads, store.uploads]).toEqual([9, 1])
  })

  it('does not wait for ever', async () => {
    const { store, host } = await served()
    store.closed = 1000
    const reading = listShard(SHARD, optionsFor(host, { readyWithin: 120, attempts: 4 }))
    await expect(reading).rejects.toMatchObject({
      ...{ code: 'E_SOURCE', retryable: false },
      message: expect.stringContaining('for 0.12 s'),
    })
  })

  it('takes what the same points are in for the same', async () => {
    const content = await contentOf(1, 2, 3)
    const { host } = await served({
      '000000002-000000001.tsm': await tsmBytes({ m: [[1], [2, 3]] }),
    })
    const sent = await sentOf(content)
    expect(await readBack(content, { shard: SHARD, sent }, optionsFor(host))).toMatchObject({
      ...{ expected: 3, got: 3, missing: 0, extra: 0, different: 0 },
    })
  })

  it.each([
    ['nothing', {}, true],
    ['less', { [NAME]: [1] }, false],
  ] as const)('finds out that there is %s', async (_, files, retryable) => {
    const content = await contentOf(1, 2)
    const stored: Record<string, Uint8Array> = {}
    for (const [name, times] of Object.entries(files)) stored[name] = await tsmBytes({ m: [times] })
    const { host } = await served(stored)
    const sent = await sentOf(content)
    await expect(readBack(content, { shard: SHARD, sent }, optionsFor(host))).rejects.toMatchObject(
      { code: 'E_DESTINATION', retryable },
    )
  })

  it('finds out that what is there cannot be read', async () => {
    const content = await contentOf(1, 2)
    const { host } = await served({ [NAME]: content.bytes.subarray(0, 60) })
    const sent = await sentOf(content)
    await expect(readBack(content, { shard: SHARD, sent }, optionsFor(host))).rejects.toMatchObject(
      {
        code: 'E_DESTINATION',
        message: expect.stringContaining('cannot be read'),
      },
    )
  })

  it('reads again what arrives damaged', async () => {
    const { host } = await served({ [NAME]: 'x'.repeat(5000) })
    const cut = { toClient: { cut: { after: 2000, how: 'fin' } } } as const
    const proxy = await startFaultProxy(host, [cut, cut])
    const found = await listShard(SHARD, optionsFor(proxy.host, { attempts: 3 }))
    expect(found.get(NAME)?.size).toBe(5000)
    expect(proxy.connections).toHaveLength(3)
    await proxy.close()
    const bad = await startFaultProxy(host, [cut])
    await expect(listShard(SHARD, optionsFor(bad.host))).rejects.toMatchObject({
      code: 'E_SOURCE_DAMAGED',
    })
    await bad.close()
  })

  it('reads the files of a directory where they are', async () => {
    const content = await contentOf(1, 2)
    const { host } = await served()
    const open = (source: RandomAccess) => {
      const openShard = async () => ({ files: new Map([[NAME, source]]), close: async () => {} })
      const { server, ...options } = optionsFor(host)
      return { ...options, server: { ...server, openShard } }
    }
    const [sent] = await sentOf(content)
    expect([...(await listShard(SHARD, open(bytesAccess(content.bytes, NAME))))]).toEqual([
      [NAME, sent],
    ])
    const broken = {
      ...bytesAccess(content.bytes, NAME),
      read: () => Promise.reject(Object.assign(new Error('read error'), { code: 'EIO' })),
    }
    await expect(listShard(SHARD, open(broken))).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: expect.stringContaining(NAME),
    })
    const stopped = { ...open(bytesAccess(content.bytes, NAME)), signal: AbortSignal.abort() }
    await expect(listShard(SHARD, stopped)).rejects.toThrow('aborted')
  })

  it('ends with its signal', async () => {
    const { store, host } = await served()
    store.closed = 1000
    const stop = new AbortController()
    const reading = listShard(SHARD, optionsFor(host, { signal: stop.signal }))
    setTimeout(() => stop.abort(new SnapError('E_INTERRUPTED', 'stopped')), 50)
    await expect(reading).rejects.toThrow()
  })
})

describe('the restore of a shard', () => {
  const TARGET = { newShardId: 7n, database: 'd', retentionPolicy: 'r' }
  const restore = async (content: ShardContent, host: string, before: 'nothing' | 'some' | 'all') =>
    await restoreShard(content, TARGET, {
      ...optionsFor(host),
      ...{ throttle: (body: AsyncIterable<Uint8Array>) => body, readBack: true, before },
    })

  it('sends what is not there', async () => {
    const content = await contentOf(1, 2)
    const { host, store } = await served()
    expect(await restore(content, host, 'nothing')).toMatchObject({ found: false, extra: 0 })
    expect([...(store.shards.get(7n)?.files.keys() ?? [])]).toEqual([NAME])
    expect(await restore(content, host, 'some')).toMatchObject({ found: true })
    expect(await restore(content, host, 'all')).toMatchObject({ found: true })
  })

  it('takes points in other files for there, and says how many there are more', async () => {
    const content = await contentOf(1, 2)
    const { host } = await served({ '000000009-000000001.tsm': await tsmBytes({ m: [[1, 2, 3]] }) })
    expect(await restore(content, host, 'some')).toMatchObject({ found: true, extra: 1 })
  })

  it('sends nothing over a file of somebody else', async () => {
    const content = await contentOf(1, 2)
    const { host, store } = await served({ [NAME]: await tsmBytes({ other: [[1]] }) })
    const before = store.shards.get(7n)?.files.get(NAME)?.bytes
    await expect(restore(content, host, 'nothing')).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('not of this restore'),
    })
    expect(store.shards.get(7n)?.files.get(NAME)?.bytes).toBe(before)
  })

  it('sends the rest where some of its files are there', async () => {
    const first = await contentOf(1, 2)
    const bytes = await tsmBytes({ m: [[5]] })
    const second = {
      name: 'd/r/1/000000002-000000001.tsm',
      ...{ size: bytes.length, mtime: new Date(0), body: [bytes] },
    }
    const content: ShardContent = {
      ...first,
      entries: async function* () {
        yield* first.entries(signal)
        yield second
      },
    }
    const { host, store } = await served({ [NAME]: first.bytes })
    expect(await restore(content, host, 'some')).toMatchObject({ found: false })
    expect(store.shards.get(7n)?.files.size).toBe(2)
  })
})
