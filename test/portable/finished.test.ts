import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { decodeFinished, encodeFinished, type FinishedShard } from '../../src/portable/finished.ts'

const HASH = 'ab'.repeat(32)
const finished: FinishedShard = {
  clusterId: 2n ** 63n,
  shard: {
    ...{ shardId: 7n, database: 'd "1"\n', retentionPolicy: 'rp', start: -1n, end: 2n },
    ...{ archive: '20240101T000000Z.s7.tar.gz', tarSize: 2048, complete: true },
    evidence: { content: HASH, tsmFiles: 1, tsmBytes: 97, tombstoneBytes: 0, since: 5n },
  },
  files: [{ name: '20240101T000000Z.s7.tar.gz', size: 300, sha256: HASH }],
}

describe('the note of a finished shard', () => {
  it('says what was noted', () => {
    expect(decodeFinished(encodeFinished(finished))).toMatchObject(finished)
  })

  it('is none when it is cut or a bit of it turned over', () => {
    const text = encodeFinished(finished)
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.nat(6), (at, bit) => {
        const bytes = Buffer.from(text)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        expect(() => decodeFinished(text.slice(0, at))).toThrow(SnapError)
        expect(() => decodeFinished(bytes.toString('latin1'))).toThrow(SnapError)
      }),
    )
    expect(() => decodeFinished(`${text}x`)).toThrow(/does not end with its sha256/)
  })
})
