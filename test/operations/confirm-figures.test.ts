import { createServer } from 'node:http'
import type { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client, HttpClient } from '../../src/client/index.ts'
import { SnapError } from '../../src/errors.ts'
import { type BackupOptions, backup } from '../../src/operations/backup.ts'
import type { ProgressEvent } from '../../src/operations/progress.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import { SAMPLE } from '../helpers/data-directory.ts'
import { MemoryStore as Target } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { MemoryStore } from '../service/memory-store.ts'
import { serveOwn } from './servers.ts'

const SPEC = { 'two words': SAMPLE['two words'] ?? {} }
/** What shard 10 of the sample has. */
const FILES = 1
const BYTES = 97

interface Figures {
  readonly files?: number
  readonly bytes?: number
  readonly cache?: number
  /** Shards of other ids only. */
  readonly none?: boolean
}

/** An HTTP API that gives these figures of shard 10, one after the other; the last one repeats. */
async function figures(...all: readonly Figures[]): Promise<HttpClient> {
  // The first answer is for the sizes that progress tells.
  let asked = -1
  const server = createServer(async (request, response) => {
    response.setHeader('content-type', 'application/json')
    const asksClock = decodeURIComponent(await text(request)).includes('DIAGNOSTICS')
    if (asksClock) return void response.end('{"results":[{}]}')
    const now = all[Math.min(Math.max(asked++, 0), all.length - 1)] ?? {}
    const tags = { id: now.none ? 'nine' : '10' }
    const row = (name: string, columns: readonly string[], values: readonly unknown[]) => ({
      ...{ name, tags, columns },
      values: [values],
    })
    const { files = FILES, bytes = BYTES, cache = 0 } = now
    const series = [
      row('tsm1_filestore', ['diskBytes', 'numFiles'], [bytes, files]),
      row('tsm1_cache', ['memBytes'], [cache]),
      row('tsm1_wal', ['currentSegmentDiskBytes', 'oldSegmentsDiskBytes'], [0, 0]),
      row('runtime', ['Alloc'], [1]),
    ]
    response.end(JSON.stringify({ results: [{ series }] }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const address = server.address()
  return new HttpClient({
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
  })
}

async function run(http: HttpClient, options: Partial<BackupOptions> = {}, make = plain) {
  const { host, store } = await serveOwn(make, SPEC)
  const events: ProgressEvent[] = []
  const server = { client: new Client(host), name: host, losses: () => [], close: async () => {} }
  const running = backup({
    ...{ source: new ServerSource(server), store: new Target(), http, selection: {} },
    ...{ jobs: 1, attempts: 1, skipErrors: false, dryRun: false, compression: 'gzip' },
    ...{ tempDir: await tempDir('temp'), version: '0', signal: new AbortController().signal },
    progress: (event) => void events.push(event),
    ...options,
  })
  return { running, events, store }
}

const plain = (data: ConstructorParameters<typeof MemoryStore>[0]) => new MemoryStore(data)

/** Gives shard 10 only so often. */
class Tiring extends MemoryStore {
  left = 1
  isDropped = false
  override async backupShard(id: bigint, since: bigint, w: Writable, signal: AbortSignal) {
    if (this.left-- > 0) return await super.backupShard(id, since, w, signal)
    if (this.isDropped) {
      const data = this.data()
      data.databases = []
      await this.setData(data)
    }
    throw new SnapError('E_SOURCE', 'no')
  }
}

describe('figures of a server', () => {
  it('confirm a shard that is as they say', async () => {
    const { running } = await run(await figures({}))
    expect(await running).toMatchObject({ completeness: 'confirmed', shards: [{ complete: true }] })
  })

  it('that were of another moment are asked for again', async () => {
    const { running, events } = await run(await figures({ files: 2 }, { files: 2 }, {}))
    expect(await running).toMatchObject({ completeness: 'confirmed' })
    expect(events.filter(({ type }) => type === 'shardDone')).toHaveLength(1)
  })

  it.each([
    ['move', [{ files: 2 }, { files: 2 }, { files: 3 }]],
    ['speak of points that were not flushed', [{ cache: 5 }]],
    ['are of other shards', [{ none: true }]],
  ])('that %s leave a shard unconfirmed', async (_, all) => {
    const { running } = await run(await figures(...all))
    expect(await running).toMatchObject({
      completeness: 'unconfirmed',
      shards: [{ complete: false }],
    })
  })

  it.each([
    [{ files: 2 }, '1 files came, the server counts 2'],
    [{ bytes: 99 }, `${BYTES} bytes of TSM came, the server counts 99`],
  ])('that stand at %j are an error', async (stats, what) => {
    const { running } = await run(await figures(stats))
    await expect(running).rejects.toMatchObject({
      code: 'E_SOURCE_DAMAGED',
      message: `shard 10 (two words.autogen) came incomplete: ${what}`,
    })
  })
})

describe('a shard that cannot be fetched again', () => {
  it('ends the backup', async () => {
    const { running } = await run(await figures({ files: 2 }), {}, (data) => new Tiring(data))
    await expect(running).rejects.toMatchObject({ code: 'E_SOURCE' })
  })

  it('is skipped on request, once', async () => {
    const options = { skipErrors: true }
    const make = (data: ConstructorParameters<typeof MemoryStore>[0]) => new Tiring(data)
    const { running } = await run(await figures({ files: 2 }), options, make)
    await expect(running).rejects.toMatchObject({
      code: 'E_SOURCE',
      message: expect.stringContaining('shard 10 (two words.autogen) could not be fetched: '),
    })
  })

  it('may have been dropped', async () => {
    const make = (data: ConstructorParameters<typeof MemoryStore>[0]) => {
      const store = new Tiring(data)
      store.isDropped = true
      return store
    }
    const { running } = await run(await figures({ files: 2 }), {}, make)
    await expect(running).rejects.toMatchObject({
      code: 'E_NOTHING_MATCHED',
      message: 'no set was written: every selected shard was dropped meanwhile',
    })
  })
})
