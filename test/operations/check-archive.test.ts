import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { asDamage, checkArchive, checkStoredHash } from '../../src/operations/check-archive.ts'
import { encodeTombstones } from '../../src/tsm/tombstone.ts'
import { tarOf, tsmBytes } from '../datadir/shard-files.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'

const TSM = '000000001-000000001.tsm'
const shard = { database: 'db', retentionPolicy: 'rp', shardId: 1n }
const tempDirectory = await tempDir('temp')

function partOf(tar: Uint8Array, known: { tarSize?: number; stored?: object } = {}) {
  const stored = { size: tar.length, sha256: createHash('sha256').update(tar).digest('hex') }
  return {
    ...{ name: 's1.tar', tarSize: known.tarSize },
    stored: known.stored && { ...stored, ...known.stored },
    async *open(_signal?: AbortSignal, onStored?: (chunk: Uint8Array) => void) {
      onStored?.(tar)
      yield tar
    },
  }
}

const check = (...args: Parameters<typeof partOf>) =>
  checkArchive(shard, partOf(...args), { tempDir: tempDirectory })

describe('checkArchive', () => {
  it('returns what is in it', async () => {
    const tombstone = encodeTombstones([{ key: Buffer.from('m'), minTime: 0n, maxTime: 1n }])
    const files = {
      [TSM.replace('.tsm', '.tombstone')]: tombstone,
      [TSM]: await tsmBytes({ m: [[1, 2]], n: [[-3]] }),
      'fields.idx': 'whatever',
    }
    const found = await check(await tarOf(files), { stored: {} })
    expect(found).toMatchObject([
      { name: TSM.replace('.tsm', '.tombstone'), kind: 'tombstone' },
      { name: TSM, kind: 'tsm', tsm: { keys: 2, blocks: 2, minTime: -3n, maxTime: 2n } },
      { name: 'fields.idx', kind: 'other', size: 8 },
    ])
  })

  it.each([
    ['another size than the manifest says', { tarSize: 99 }, /a tar of \d+ bytes, expected 99$/],
    ['another size than the catalog says', { stored: { size: 99 } }, /\d+ bytes, expected 99$/],
    [
      'another hash than the catalog says',
      { stored: { sha256: '0' } },
      /sha256 \w+\.\.\., expected/,
    ],
  ])('refuses %s', async (_, known, message) => {
    const tar = await tarOf({ [TSM]: await tsmBytes({ m: [[1]] }) })
    await expect(check(tar, known)).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringMatching(message),
    })
  })

  it('refuses the files of another shard', async () => {
    const tar = await tarOf({ [TSM]: await tsmBytes({ m: [[1]] }) }, 2n)
    await expect(check(tar)).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message:
        's1.tar (shard 1 (db.rp)): entry db/rp/2/000000001-000000001.tsm is not of shard 1 (db.rp)',
    })
  })

  it('refuses damaged tombstones', async () => {
    const tar = await tarOf({ '000000001-000000001.tombstone': '\0\0\x15\x04rubbish' })
    await expect(check(tar)).rejects.toMatchObject({ code: 'E_INTEGRITY' })
  })
})

describe('checkStoredHash', () => {
  const bytes = Buffer.from('bytes')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const store = new MemoryStore([['file', bytes]])
  const hashed = (stored: { size: number; sha256: string } | undefined) =>
    checkStoredHash(store, { name: 'file', stored })

  it('passes what is as the catalog says, or what it says nothing of', async () => {
    await hashed({ size: 5, sha256 })
    await hashed(undefined)
  })

  it('tells the difference', async () => {
    await expect(hashed({ size: 6, sha256 })).rejects.toThrow('memory: file: 5 bytes, expected 6')
    await expect(hashed({ size: 5, sha256: 'x' })).rejects.toThrow('memory: file: sha256 ')
  })
})

describe('asDamage', () => {
  it('leaves alone what is no damage', () => {
    const error = new TypeError('a fault')
    expect(asDamage(error, shard, 'file')).toBe(error)
  })
})
