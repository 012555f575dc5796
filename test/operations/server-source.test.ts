import { dirname } from 'node:path'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { openServer } from '../../src/operations/server.ts'
import { ServerSource } from '../../src/operations/server-source.ts'
import { directoryAt } from '../helpers/data-directory.ts'
import { serveDirectory } from './servers.ts'
import { writeDirectories } from './shards.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

it('asks a server twice for what has no check sum, and a data directory once', async () => {
  const dirs = await writeDirectories([
    { id: 1n, database: 'db', retentionPolicy: 'rp', day: 1n, files: [] },
  ])
  const { data: dataDir, wal: walDir, meta: metaDir } = dirs
  const { host } = await serveDirectory(directoryAt(dirname(dataDir)))
  const directory = { dataDir, walDir, metaDir, env: {} }
  const asked = (['metastoreBytes', 'databaseInfo'] as const).map((what) =>
    vi.spyOn(Client.prototype, what),
  )
  for (const [place, times] of [
    [{ host }, 2],
    [{ directory, mode: 'read-only' }, 1],
  ] as const) {
    const server = await openServer(place)
    onTestFinished(() => server.close())
    for (const spy of asked) spy.mockClear()
    const { present } = await new ServerSource(server).readMetastore(
      {},
      new AbortController().signal,
    )
    expect([...present]).toEqual([1n])
    for (const spy of asked) expect(spy).toHaveBeenCalledTimes(times)
  }
})
