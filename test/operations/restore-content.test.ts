import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { entriesOf, wholeContent } from '../../src/operations/restore-content.ts'
import { packShardTar } from '../../src/tar/index.ts'
import { tsmBytes } from '../datadir/shard-files.ts'
import { tempDir } from '../helpers/temp.ts'

const { signal } = new AbortController()

async function partOf(name: string, files: Readonly<Record<string, Uint8Array>>, cut = 0) {
  const entries = Object.entries(files).map(([file, bytes]) => ({
    ...{ name: `d/r/1/${file}`, size: bytes.length, mtime: new Date(0), body: [bytes] },
  }))
  const chunks: Uint8Array[] = []
  for await (const chunk of packShardTar(entries)) chunks.push(chunk)
  const tar = Buffer.concat(chunks)
  const open = async function* () {
    yield tar.subarray(0, tar.length - cut)
  }
  return { name, stored: undefined, tarSize: undefined, open }
}

const SHARD = { database: 'd', retentionPolicy: 'r', shardId: 1n }
const bytes = await tsmBytes({ m: [[1]] })

describe('the files of a shard in several parts', () => {
  it('are the newest of each name', async () => {
    const parts = [
      await partOf('new', { '000000002-000000001.tsm': bytes }),
      await partOf('old', {
        '000000001-000000001.tsm': bytes,
        '000000002-000000001.tsm': Buffer.of(1),
      }),
    ]
    const found: [string, number][] = []
    for await (const { name, size } of wholeContent({ ...SHARD, parts }, await tempDir()).entries(
      signal,
    )) {
      found.push([name, size])
    }
    expect(found).toEqual([
      ['d/r/1/000000002-000000001.tsm', bytes.length],
      ['d/r/1/000000001-000000001.tsm', bytes.length],
    ])
  })

  it('name the part that is damaged', async () => {
    const parts = [await partOf('the part', { '000000001-000000001.tsm': bytes }, 600)]
    const read = async () => {
      for await (const _ of entriesOf({ ...SHARD, parts }, tmpdir()));
    }
    await expect(read()).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('the part'),
    })
  })
})
