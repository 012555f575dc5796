import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { LARGE_RECYCLED_SIZE, RECYCLED_SIZE, recycle, takeBuffer } from '../../src/io/recycled.ts'
import { SPOOL_MEMORY, Spool } from '../../src/io/spool.ts'
import { type BackupOptions, backup } from '../../src/operations/backup.ts'
import { withIgzip } from '../../src/operations/igzip.ts'
import { OpenedStore } from '../../src/operations/opened-store.ts'
import { restore } from '../../src/operations/restore.ts'
import { openServer, type ServerPlace } from '../../src/operations/server.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import { LocalStore, type Store } from '../../src/storage/index.ts'
import { identityIn, recipientsIn } from '../age/files.ts'
import { directoryAt } from '../helpers/data-directory.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import type { Directories } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { addFile, directoriesOf } from './file-sizes.ts'
import { serveDirectory } from './servers.ts'

const IS_SLOW = process.env.SLOW === '1'
const KIB = 1024
const around = (size: number) => [size - 1, size, size + 1]
/** What memory is cut into: blocks of a tar, chunks of a read, a connection and a spool. */
const SIZES = [
  ...[160, ...around(512), 4 * KIB, 70 * KIB],
  ...[512, 1024, ...(IS_SLOW ? [2048] : []), 4096].flatMap((size) => around(size * KIB)),
  ...around(SPOOL_MEMORY).slice(IS_SLOW ? 0 : 2),
  ...(IS_SLOW ? around(2 * SPOOL_MEMORY) : []),
]

const TEMP = await tempDir('temp')

let dirs: Directories
let end: () => void

beforeAll(async () => {
  dirs = await directoriesOf(SIZES)
  end = haunt()
})
afterAll(() => end())

/** Writes over memory that is free, as whoever gets it next would do some time. */
function haunt(): () => void {
  const garbage = Buffer.alloc(SPOOL_MEMORY, 0xa5)
  let round = 0
  const timer = setInterval(async () => {
    const taken = [RECYCLED_SIZE, LARGE_RECYCLED_SIZE].flatMap((size) =>
      Array.from({ length: 4 }, () => takeBuffer(size)),
    )
    for (const buffer of taken) buffer.fill(0x5a)
    for (const buffer of taken) recycle(buffer)
    if (round++ % 8 > 0) return
    const spool = new Spool({ name: 'haunt', tempDir: TEMP, size: SPOOL_MEMORY })
    await spool.write(garbage)
    await spool.close()
  }, 1)
  return () => clearInterval(timer)
}

/** A directory that is slow now and then, so that others come first. */
class SlowStore extends LocalStore {
  override async stage(name: string, body: AsyncIterable<Uint8Array>, stop?: AbortSignal) {
    return await super.stage(name, slowly(body), stop)
  }

  override read(...args: Parameters<LocalStore['read']>) {
    return slowly(super.read(...args))
  }
}

async function* slowly(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    await pause()
    yield chunk
    await pause()
  }
}

async function pause(): Promise<void> {
  const ms = Math.floor(Math.random() * 4) - 1
  if (ms < 0) await turn()
  else if (ms > 0) await sleep(ms)
}

/** Where the directories are read from: here, or over a line that is slow now and then. */
async function placeOf(by: 'files' | 'wire'): Promise<ServerPlace> {
  if (by === 'files') {
    const { data: dataDir, wal: walDir, meta: metaDir } = dirs
    return { directory: { dataDir, walDir, metaDir, env: {} }, mode: 'read-only' }
  }
  const { host } = await serveDirectory(directoryAt(dirname(dirs.data)))
  const scripts = () => ({
    toClient: { delay: 1, chunk: 50 * KIB + Math.floor(Math.random() * KIB) },
  })
  const proxy = await startFaultProxy(host, scripts)
  onTestFinished(proxy.close)
  return { host: proxy.host }
}

async function backUp(
  by: 'files' | 'wire',
  { store = undefined, ...options }: Partial<BackupOptions> = {},
) {
  const target = store ?? new SlowStore(await tempDir('sets'))
  const server = await openServer(await placeOf(by))
  try {
    await backup({
      ...{ source: new ServerSource(server), store: target, selection: {}, jobs: 4 },
      // What arrives damaged is not to be fetched again.
      ...{ attempts: 1, skipErrors: false, dryRun: false, compression: 'none' },
      ...{ tempDir: TEMP, version: '0' },
      signal: new AbortController().signal,
      ...options,
    })
  } finally {
    await server.close()
  }
  return target
}

/** SHA-256 and size of the TSM files below a directory, by their names. */
async function filesBelow(dir: string) {
  const entries = await readdir(dir, { recursive: true })
  const names = entries.filter((name) => name.endsWith('.tsm')).sort()
  const files = names.map(async (name) => {
    const bytes = await readFile(join(dir, name))
    return [basename(name), bytes.length, createHash('sha256').update(bytes).digest('hex')]
  })
  return (await Promise.all(files)).sort()
}

/** Restores the newest set of a store into new directories, and compares every file. */
async function expectAllOf(store: Store, limitRate?: number): Promise<void> {
  const root = await tempDir('restored')
  const [dataDir = '', walDir, metaDir] = ['data', 'wal', 'meta'].map((name) => join(root, name))
  await restore({
    ...{ store, selection: {}, renames: {}, jobs: 4, attempts: 1, dryRun: false },
    ...{ readBack: true, resume: false, salvage: false, tempDir: TEMP, limitRate },
    signal: new AbortController().signal,
    target: {
      directory: { dataDir, walDir, metaDir, env: {} },
      ...{ mode: 'read-write', influxdIsStopped: true },
    },
  })
  expect(await filesBelow(dataDir)).toEqual(await filesBelow(dirs.data))
}

describe('files of all sizes are restored byte for byte, whoever gets memory that is free', () => {
  it.each(['files', 'wire'] as const)('stored, from %s', async (by) => {
    const store = await backUp(by)
    await expectAllOf(store)
    await expectAllOf(store, 1e9)
  })

  it.each(['files', 'wire'] as const)('compressed, from %s', async (by) => {
    await expectAllOf(await backUp(by, { compression: 'gzip', twice: true }))
  })

  it('compressed by another program', async () => {
    const options = { path: process.env.PATH, tempDir: TEMP, progress: () => {} }
    const store = await withIgzip(options, async (findCompressor) => {
      return await backUp('files', { compression: 'gzip', findCompressor })
    })
    await expectAllOf(store)
  })

  it.each(['files', 'wire'] as const)(
    'of a range that they are in, slowly, from %s',
    async (by) => {
      const range = { start: 0n, end: 2n ** 62n }
      await expectAllOf(await backUp(by, { range, limitRate: 30e6 }))
    },
  )

  it('of series that are all of them', async () => {
    await expectAllOf(await backUp('files', { series: { tags: [{ key: 'a', value: 'b' }] } }))
  })

  it('encrypted, and again what has changed', async () => {
    const recipients = await recipientsIn('recipient.txt')
    const store = await backUp('files', { recipients })
    const opened = new OpenedStore(store, await identityIn('key.txt'))
    await expectAllOf(opened)
    await addFile(dirs, SIZES.length, 1024 * KIB)
    const incremental = { fullEvery: 7 * 86_400_000, trustProbe: false }
    await backUp('files', { store, recipients, incremental })
    await expectAllOf(opened)
  })
})
