import { crc32 } from 'node:zlib'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { FileCrc } from '../../src/tsm/file-crc.ts'
import { checkHere } from '../../src/tsm/sum-files.ts'
import { blockOf } from './arbitraries.ts'
import { tsmBytes } from './files.ts'

const WISH = { points: false, crc: true }
const times = Array.from({ length: 1000 }, (_, i) => BigInt(i) * 1_000_003n)
const bytes = await tsmBytes(
  ['a', 'b', 'c'].map((key, i) => [
    `${key}#!~#f`,
    [
      blockOf('float', times, i),
      blockOf(
        'float',
        times.map((time) => time + 10n ** 12n),
        i,
      ),
    ],
  ]),
)

describe('the CRC of a TSM file', () => {
  it('is that of all its bytes', async () => {
    expect(await checkHere(bytesAccess(bytes, 'x.tsm'), WISH)).toMatchObject({ crc: crc32(bytes) })
    const { crc } = await checkHere(bytesAccess(bytes, 'x.tsm'), { points: false })
    expect(crc).toBeUndefined()
  })

  test.prop([fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })])(
    'is another one for every other byte that the check passes by',
    async (at, change) => {
      const damaged = Buffer.from(bytes)
      damaged[at] = (damaged[at] ?? 0) ^ change
      const found = await checkHere(bytesAccess(damaged, 'x.tsm'), WISH).catch(() => undefined)
      expect(found?.crc).not.toBe(crc32(bytes))
    },
  )

  it('is that of all bytes where blocks do not stand one after the other', async () => {
    const source = bytesAccess(bytes, 'x.tsm')
    const section = { source, start: 1000, end: bytes.length - 8 }
    for (const entries of [
      [],
      [[5, 100]],
      [
        [5, 100],
        [200, 800],
      ],
      [[9, 991]],
    ]) {
      const crc = new FileCrc()
      for (const [offset = 0, size = 0] of entries) {
        crc.add({ offset, size, minTime: 0n, maxTime: 0n }, 1)
      }
      expect(await crc.finish(section)).toBe(crc32(bytes))
    }
  })
})
