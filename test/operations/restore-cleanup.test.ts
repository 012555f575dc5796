import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Client, HttpClient } from '../../src/client/index.ts'
import { encodeData } from '../../src/meta/index.ts'
import { cleanUp, type MadeDatabase } from '../../src/operations/restore-cleanup.ts'
import type { OpenServer } from '../../src/operations/server.ts'
import { type DirectorySpec, dataOf } from '../helpers/data-directory.ts'
import { serve } from '../service/harness.ts'
import { MemoryStore } from '../service/memory-store.ts'

const shards = (...ids: readonly number[]) => ids.map((id, hour) => ({ id, hour }))
const BACKUP: DirectorySpec = { d: { r: { shards: shards(1, 2) } } }

function madeOf(more: Partial<MadeDatabase> = {}): MadeDatabase {
  const plan = {
    ...{ database: 'd', newDatabase: 'x', retentionPolicy: undefined, shards: [] },
    ...{ newRetentionPolicy: undefined, metaBytes: encodeData(dataOf(BACKUP)) },
  }
  const ids = new Map([
    [1n, 11n],
    [2n, 12n],
  ])
  return { plan, ids, begun: new Set([1n]), finished: new Set([1n]), isWrittenTo: false, ...more }
}

/** A server with the database `x` and its shards, all but `absent`. */
async function served(spec: DirectorySpec, absent: readonly bigint[] = []) {
  const store = new MemoryStore(dataOf(spec))
  for (const [database, policies] of Object.entries(spec)) {
    for (const [policy, { shards: all }] of Object.entries(policies)) {
      for (const { id } of all) {
        if (!absent.includes(BigInt(id))) store.addShard(`${database}/${policy}/${id}`)
      }
    }
  }
  const { host } = await serve(store)
  return serverAt(host)
}

function serverAt(host: string): OpenServer {
  return { client: new Client(host), name: host, losses: () => [], close: async () => {} }
}

async function cleaned(made: MadeDatabase, server: OpenServer, http?: HttpClient, keep = false) {
  const notes: string[] = []
  const result = await cleanUp([made], {
    ...{ server, http, keep },
    progress: (event) => {
      if (event.type === 'note') notes.push(`${event.level}: ${event.message}`)
    },
  })
  return { ...result, notes: notes.join('\n') }
}

const X: DirectorySpec = { x: { r: { shards: shards(11, 12) } } }

describe('what a failed restore leaves', () => {
  it('is nothing if nothing was made, or it is gone', async () => {
    const server = await served({})
    const options = { server, http: undefined, keep: false, progress: () => {} }
    expect(await cleanUp([], options)).toEqual({ isClean: true, hint: undefined })
    expect(await cleaned(madeOf(), server)).toMatchObject({ isClean: true, hint: undefined })
  })

  it('is named, with the statement that removes it', async () => {
    const { isClean, hint, notes } = await cleaned(madeOf(), await served(X, [12n]))
    expect(isClean).toBe(false)
    expect(hint).toContain('DROP DATABASE "x" removes it')
    expect(notes).toContain('shards with data: 11; shards not known: 12')
  })

  it('is what stays for --resume', async () => {
    const { hint, notes } = await cleaned(madeOf(), await served(X), undefined, true)
    expect(hint).toMatch(/--resume goes on with it$/)
    expect(notes).toContain('shards restored: 11; shards not restored: 12')
  })

  it('cannot be told of a server that is gone', async () => {
    const { notes } = await cleaned(madeOf(), serverAt('127.0.0.1:1'))
    expect(notes).toContain('the server does not answer')
  })

  it('is not removed with shards of somebody else in it', async () => {
    const server = await served({ x: { r: { shards: shards(11, 12, 13) } } })
    expect((await cleaned(madeOf(), server)).notes).toContain('shards 13 are not of this run')
  })

  it('is not removed if it may be somebody else’s', async () => {
    const { notes } = await cleaned(madeOf({ ids: undefined }), await served(X))
    expect(notes).toContain('it may be of this run')
  })

  it('may have no shards', async () => {
    const server = await served({ x: { r: { shards: [] } } })
    const { notes } = await cleaned(madeOf({ ids: new Map() }), server)
    expect(notes).toContain('database "x": without shards')
  })

  it('stays if the HTTP API is another server’s by now', async () => {
    const other = createServer((_, response) => response.end('{"results":[]}'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    const http = new HttpClient({ url: `http://127.0.0.1:${port}` })
    const { notes } = await cleaned(madeOf(), await served(X), http)
    expect(notes).toContain('is not the server at')
  })

  it('is removed from a directory, and named if that fails', async () => {
    const dropped: [string, bigint[]][] = []
    const server = await served(X)
    const directory = {
      createShard: async () => {},
      standing: async () => undefined,
      restoreFiles: async () => {},
      adoptFiles: async () => {},
      holdsStaged: async () => true,
      addFiles: async () => {},
      replaceFiles: async () => {},
      changeMetadata: async () => {},
      dropDatabase: async (name: string, ids: ReadonlySet<bigint>) => {
        dropped.push([name, [...ids]])
      },
    }
    const made = madeOf({ ids: undefined })
    expect((await cleaned(made, { ...server, directory })).notes).toContain('removed database "x"')
    expect(dropped).toEqual([['x', [11n, 12n]]])
    const dropDatabase = async () => {
      throw new Error('disk on fire')
    }
    const failed = await cleaned(made, { ...server, directory: { ...directory, dropDatabase } })
    expect(failed.notes).toContain('it cannot be removed: disk on fire')
  })
})
