import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import type { ShardContent } from '../../src/operations/restore-content.ts'
import { serveDirectory } from '../../src/operations/served-directory.ts'
import { createThrottle } from '../../src/operations/throttle.ts'
import { uploadShard } from '../../src/operations/upload-shard.ts'
import { makeMeta, pathsIn, tsmBytes, tsmName } from '../datadir/shard-files.ts'
import { tempDir } from '../helpers/temp.ts'

const { signal } = new AbortController()

/** The content of shard 7, with one file named as of the shard `named`. */
async function contentOf(named: number): Promise<ShardContent & { readonly bytes: Buffer }> {
  const bytes = await tsmBytes({ m: [[1, 2, 3]] })
  const file = { size: bytes.length, mtime: new Date(0), body: [bytes] }
  return {
    ...{ database: 'old', retentionPolicy: 'r', shardId: 7n, bytes },
    entries: async function* () {
      yield { ...file, name: `old/r/${named}/${tsmName(1)}` }
    },
  }
}

describe('uploadShard into directories', () => {
  const upload = async (content: ShardContent, onBytes?: (bytes: number) => void) => {
    const dir = await tempDir('upload-shard')
    await makeMeta(dir, [1n])
    const directory = { ...pathsIn(dir), env: {} }
    const place = { directory, mode: 'read-write', influxdIsStopped: true } as const
    const server = await serveDirectory(place)
    const target = { newShardId: 1n, database: 'db', retentionPolicy: 'rp' }
    // Nothing of it may go through the protocol.
    const client = new Client('127.0.0.1:1')
    const options = { server: { ...server, client }, throttle: createThrottle(undefined), signal }
    return await uploadShard(content, target, { ...options, onBytes }).finally(server.close)
  }

  it('gives the files as they were written, and tells of their bytes', async () => {
    const content = await contentOf(7)
    const told: number[] = []
    const sent = await upload(content, (bytes) => told.push(bytes))
    const { bytes } = content
    expect(sent).toEqual([{ name: tsmName(1), size: bytes.length, crc: crc32(bytes) }])
    expect(told).toEqual([bytes.length])
  })

  it('refuses a file of another shard', async () => {
    await expect(upload(await contentOf(8))).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: expect.stringContaining('expected one of shard 7'),
    })
  })
})
