import { describe, expect, it } from 'vitest'
import { takeBuffer } from '../../src/io/recycled.ts'
import { SPOOL_MEMORY } from '../../src/io/spool.ts'
import { rewriteEntries } from '../../src/operations/rewrite-entries.ts'
import { packShardTar, readShardTar } from '../../src/tar/index.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { entriesOf, once, pointsOf, tarOf, tsmBytes } from '../datadir/shard-files.ts'
import { tempDir } from '../helpers/temp.ts'

const STEM = '000000001-000000001'
const tempDirectory = await tempDir('temp')

/** Rewrites the files of a tar and returns what comes out, by name. */
async function rewritten(
  files: Parameters<typeof tarOf>[0],
  filter?: { start: bigint; end: bigint },
) {
  const entries = readShardTar(once(await tarOf(files)))
  const chunks: Uint8Array[] = []
  const tar = packShardTar(rewriteEntries(entries, { filter, tempDir: tempDirectory }))
  for await (const chunk of tar) chunks.push(chunk)
  const found = await entriesOf(Buffer.concat(chunks))
  return new Map([...found].map(([name, bytes]) => [name.slice('db/rp/1/'.length), bytes]))
}

const deleting = (key: string, minTime: bigint, maxTime: bigint) =>
  encodeTombstones([{ key: Buffer.from(`${key}#!~#value`), minTime, maxTime }])

describe('rewriteEntries', () => {
  it('passes a file that nothing touches as it is, and leaves out what is no data', async () => {
    const tsm = await tsmBytes({ m: [[1, 2]] })
    const files = await rewritten({ [`${STEM}.tsm`]: tsm, 'fields.idx': 'x' })
    expect([...files]).toEqual([[`${STEM}.tsm`, tsm]])
  })

  it('applies tombstones to the file they belong to, and leaves them out', async () => {
    const tsm = await tsmBytes({ m: [[1, 2, 3]] })
    const other = '000000002-000000001'
    const files = await rewritten({
      [`${STEM}.tombstone`]: deleting('m', 2n, 9n),
      [`${STEM}.tsm`]: tsm,
      [`${other}.tsm`]: tsm,
      '000000003-000000001.tombstone': deleting('m', 0n, 9n),
    })
    expect([...files.keys()]).toEqual([`${STEM}.tsm`, `${other}.tsm`])
    expect(await pointsOf([files.get(`${STEM}.tsm`) ?? tsm])).toEqual(['m 1'])
    expect(files.get(`${other}.tsm`)).toEqual(tsm)
  })

  it('leaves out a file of which nothing is left', async () => {
    const tsm = await tsmBytes({ m: [[1, 2, 3]] })
    const tombstone = deleting('m', 0n, 9n)
    const files = { [`${STEM}.tombstone`]: tombstone, [`${STEM}.tsm`]: tsm }
    expect((await rewritten(files)).size).toBe(0)
    expect((await rewritten({ [`${STEM}.tsm`]: tsm }, { start: 10n, end: 20n })).size).toBe(0)
  })

  it('cuts to a range', async () => {
    const tsm = await tsmBytes({
      m: [
        [1, 2],
        [3, 4],
      ],
      n: [[9]],
    })
    const files = await rewritten({ [`${STEM}.tsm`]: tsm }, { start: 2n, end: 3n })
    expect(await pointsOf(files.values())).toEqual(['m 2', 'm 3'])
  })

  it('reads what it has written to disk into memory that can be used again', async () => {
    const tsm = await tsmBytes({ m: [[1, 2, 3]] })
    const entries = async function* () {
      for await (const entry of readShardTar(once(await tarOf({ [`${STEM}.tsm`]: tsm })))) {
        // So large that it goes to disk
        yield { ...entry, size: SPOOL_MEMORY + 1 }
      }
    }
    const filter = { start: 2n, end: 3n }
    const chunks: Uint8Array[] = []
    const memory = new Set<ArrayBufferLike>()
    for await (const { body } of rewriteEntries(entries(), { filter, tempDir: tempDirectory })) {
      for await (const chunk of body) {
        chunks.push(Buffer.from(chunk))
        memory.add(chunk.buffer)
      }
    }
    expect([...memory]).toEqual([takeBuffer().buffer])
    expect(await pointsOf([Buffer.concat(chunks)])).toEqual(['m 2', 'm 3'])
  })

  it('refuses a tombstone that comes too late', async () => {
    const files = {
      [`${STEM}.tsm`]: await tsmBytes({ m: [[1]] }),
      [`${STEM}.tombstone`]: deleting('m', 0n, 9n),
    }
    await expect(rewritten(files)).rejects.toMatchObject({
      code: 'E_FORMAT',
      message: `db/rp/1/${STEM}.tombstone comes after the file it belongs to`,
    })
  })

  it('refuses a damaged file', async () => {
    const files = { [`${STEM}.tombstone`]: deleting('m', 0n, 9n), [`${STEM}.tsm`]: 'rubbish' }
    await expect(rewritten(files)).rejects.toMatchObject({ code: 'E_FORMAT' })
  })
})
