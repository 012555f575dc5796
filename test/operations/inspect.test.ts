import { tmpdir } from 'node:os'
import { expect, it } from 'vitest'
import { inspectEntry } from '../../src/operations/inspect.ts'
import { packShardTar, readShardTar } from '../../src/tar/index.ts'

const shard = { database: 'db', retentionPolicy: 'rp', shardId: 7n }

async function inspect(name: string) {
  const entry = { name, size: 3, mtime: new Date(0), body: [Buffer.from('abc')] }
  const entries = (async function* () {
    yield { ...entry, body: stream(entry.body) }
  })()
  for await (const found of readShardTar(packShardTar(entries))) {
    return await inspectEntry(found, { shard, tempDir: tmpdir() })
  }
  return undefined
}

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

it('takes a file of no kind that it knows as it is', async () => {
  expect(await inspect('db/rp/7/fields.idx')).toMatchObject({
    ...{ name: 'fields.idx', kind: 'other', size: 3, offset: 512, mtime: new Date(0) },
  })
})

it('refuses a file of another shard, and damaged ones', async () => {
  const failure = expect.objectContaining({ code: 'E_FORMAT' })
  await expect(inspect('db/rp/8/fields.idx')).rejects.toEqual(failure)
  await expect(inspect('db/rp/7/000000001-000000001.tsm')).rejects.toEqual(failure)
})
