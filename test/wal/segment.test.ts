import { fc, test } from '@fast-check/vitest'
import { snappyCompress } from 'hysnappy'
import { describe, expect, it } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { decodeRows } from '../../src/wal/rows.ts'
import { readSegment, segmentNames, type WalDamage } from '../../src/wal/segment.ts'
import { deleteEntry, deleteRangeEntry, entry, type WriteRow, writeEntry } from './encode.ts'
import { rowsArbitrary, toSamples } from './samples.ts'

const KEY = 'm#!~#v'
const A: WriteRow = { key: KEY, type: 'float', points: [[1n, 0]] }
const MIN = -(2n ** 63n)
const MAX = 2n ** 63n - 1n

type Seen =
  | { readonly write: readonly WriteRow[] }
  | { readonly delete: readonly string[]; readonly min: bigint; readonly max: bigint }
  | WalDamage

/** Reads a segment into plain data. */
async function read(bytes: Uint8Array): Promise<Seen[]> {
  const seen: Seen[] = []
  for await (const item of readSegment(bytesAccess(bytes, '_00001.wal'))) {
    if (item.kind !== 'write' && item.kind !== 'delete') {
      seen.push(item)
      continue
    }
    const text = Buffer.from(item.payload)
    const keys = [...item.keyStarts].map((start, i) =>
      text.toString('utf8', start, item.keyEnds[i]),
    )
    if (item.kind === 'delete') {
      seen.push({ delete: keys, min: item.minTime, max: item.maxTime })
      continue
    }
    const view = new DataView(text.buffer, text.byteOffset, text.length)
    const write = keys.map((key, i): WriteRow => {
      const row = { view, start: item.starts[i] ?? 0, count: item.counts[i] ?? 0 }
      return { key, ...toSamples(decodeRows(item.types[i] ?? 0, [row])) }
    })
    seen.push({ write })
  }
  return seen
}

describe('readSegment', () => {
  it('reads the bytes a server wrote', async () => {
    const hex = '010000001f1d700100066d23217e2376000000010000000000000001'
    expect(await read(Buffer.from(`${hex}0000000000000000`, 'hex'))).toEqual([{ write: [A] }])
  })

  it('reads every type of value', async () => {
    const rows: WriteRow[] = [
      {
        key: 'f',
        type: 'float',
        points: [
          [MIN, -0],
          [5n, Number.MIN_VALUE],
        ],
      },
      {
        key: 'i',
        type: 'integer',
        points: [
          [-1n, MIN],
          [-1n, MAX],
        ],
      },
      { key: 'u', type: 'unsigned', points: [[MAX, 2n ** 64n - 1n]] },
      {
        key: 'b',
        type: 'boolean',
        points: [
          [1n, true],
          [0n, false],
        ],
      },
      {
        key: 's',
        type: 'string',
        points: [
          [1n, ''],
          [2n, 'grün\n"\\'],
          [3n, 'x'.repeat(70_000)],
        ],
      },
      { key: '', type: 'float', points: [[1n, 1]] },
    ]
    expect(await read(writeEntry(...rows))).toEqual([{ write: rows }])
  })

  it('takes every boolean byte but 1 for false', async () => {
    const payload = Buffer.from('030001620000000100000000000000010200', 'hex').subarray(0, 17)
    const points = [[1n, false]]
    expect(await read(entry(1, payload))).toEqual([
      { write: [{ key: 'b', type: 'boolean', points }] },
    ])
  })

  it('keeps the bits of a NaN', async () => {
    const payload = Buffer.from('010001660000000100000000000000017ff4000000000123', 'hex')
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length)
    const { values } = decodeRows(1, [{ view, start: 8, count: 1 }])
    const bits = values instanceof Float64Array ? new BigUint64Array(values.buffer) : []
    expect([...bits]).toEqual([0x7ff4000000000123n])
  })

  it('reads deletes, with and without a range', async () => {
    const bytes = Buffer.concat([
      deleteEntry('a', 'b c', ''),
      deleteRangeEntry(-5n, 7n, 'a', 'b\nc'),
    ])
    expect(await read(bytes)).toEqual([
      { delete: ['a', 'b c', ''], min: MIN, max: MAX },
      { delete: ['a', 'b\nc'], min: -5n, max: 7n },
    ])
  })

  it('accepts entries that hold nothing, as influxd does', async () => {
    const bytes = Buffer.concat([
      entry(1, Buffer.alloc(0)),
      deleteEntry(),
      deleteRangeEntry(1n, 2n),
    ])
    expect(await read(bytes)).toEqual([
      { write: [] },
      { delete: [], min: MIN, max: MAX },
      { delete: [], min: 1n, max: 2n },
    ])
  })

  it('has nothing to say of an empty segment', async () => {
    expect(await read(Buffer.alloc(0))).toEqual([])
  })

  it('reads entries larger than its window, between small ones', async () => {
    const noise = Array.from({ length: 200_000 }, (_, i) => [BigInt(i) ** 3n, Math.sin(i)] as const)
    const big: WriteRow = { key: 'big', type: 'float', points: noise }
    const seen = await read(Buffer.concat([writeEntry(A), writeEntry(big), writeEntry(A)]))
    expect(seen).toEqual([{ write: [A] }, { write: [big] }, { write: [A] }])
  })

  test.prop([fc.array(rowsArbitrary, { maxLength: 5 })])(
    'gives back what was written',
    async (writes) => {
      const bytes = Buffer.concat(writes.map((rows) => writeEntry(...rows)))
      expect(await read(bytes)).toEqual(writes.map((write) => ({ write })))
    },
  )
})

const TWO = Buffer.concat([
  writeEntry(A),
  writeEntry({
    key: 'n#!~#text',
    type: 'string',
    points: [
      [1n, 'abc'.repeat(30)],
      [2n, 'z'],
    ],
  }),
])
const FIRST = writeEntry(A).length

describe('a damaged segment', () => {
  it('ends with a torn entry wherever it is cut', async () => {
    for (let size = FIRST + 1; size < TWO.length; size += 1) {
      const seen = await read(TWO.subarray(0, size))
      expect(seen).toMatchObject([
        { write: [A] },
        { kind: 'torn', offset: FIRST, bytes: size - FIRST },
      ])
    }
  })

  it.each([
    ['an entry type nobody knows', entry(4, Buffer.alloc(0)), /unknown entry type 4/],
    ['a block that is no snappy', Buffer.from('0100000003030c61', 'hex'), /^entry: /],
    ['an empty block', Buffer.from('0100000000', 'hex'), /no snappy length/],
    [
      'a length of six bytes',
      Buffer.from('0100000006808080808001', 'hex'),
      /claim to hold 34359738368/,
    ],
    [
      'a block that claims gigabytes',
      Buffer.from('0100000006ffffffff0f00', 'hex'),
      /claim to hold 4294967295/,
    ],
    ['a key longer than the entry', entry(1, Buffer.from('01ffff61', 'hex')), /needs 65542 bytes/],
    ['a row cut in its key length', entry(1, Buffer.from('0100', 'hex')), /needs 3 bytes/],
    ['no values', entry(1, Buffer.from('0100016100000000', 'hex')), /0 values/],
    [
      'more values than bytes',
      entry(1, Buffer.from('01000161ffffffff', 'hex')),
      /4294967295 values/,
    ],
    ['fewer values than said', entry(1, Buffer.from('0300016100000001', 'hex')), /needs 9 bytes/],
    ['a value type nobody knows', entry(1, Buffer.from('0600016100000001', 'hex')), /value type 6/],
    [
      'a string past the end',
      entry(1, Buffer.from('04000161000000010000000000000001ffffffff', 'hex')),
      /needs 4294967295/,
    ],
    ['a delete range without its range', entry(3, Buffer.alloc(15)), /needs 16 bytes/],
    [
      'a deleted key past the end',
      entry(3, Buffer.concat([Buffer.alloc(16), Buffer.from('00000002', 'hex')])),
      /needs 2 bytes/,
    ],
    ['a deleted key cut in its length', entry(3, Buffer.alloc(18)), /needs 4 bytes/],
  ])('is given up from %s on', async (_, bad, detail) => {
    const bytes = Buffer.concat([writeEntry(A), bad, writeEntry(A)])
    const rest = bytes.length - FIRST
    expect(await read(bytes)).toEqual([
      { write: [A] },
      { kind: 'corrupt', offset: FIRST, bytes: rest, detail: expect.stringMatching(detail) },
    ])
  })

  it('goes on behind a hole of zeros', async () => {
    const bytes = Buffer.concat([writeEntry(A), Buffer.alloc(1_500_000), writeEntry(A)])
    expect(await read(bytes)).toMatchObject([
      { write: [A] },
      { kind: 'hole', offset: FIRST, bytes: 1_500_000 },
      { write: [A] },
    ])
  })

  it('is torn when only zeros follow', async () => {
    const bytes = Buffer.concat([writeEntry(A), Buffer.alloc(3)])
    expect(await read(bytes)).toMatchObject([
      { write: [A] },
      { kind: 'torn', offset: FIRST, bytes: 3 },
    ])
  })

  it('is not torn but corrupt when the block is whole and its length too large', async () => {
    for (const literals of [Buffer.from('abc'), Buffer.alloc(3000, 'ab')]) {
      const bytes = entry(2, literals)
      bytes.writeUInt32BE(bytes.length, 1)
      expect(await read(bytes)).toMatchObject([{ kind: 'corrupt', offset: 0, bytes: bytes.length }])
    }
  })

  it('is not torn but corrupt when its end cannot be the beginning of an entry', async () => {
    const ends = [
      '04',
      '0400000009',
      '01000000ff8080808080',
      '010000ffff0a0500',
      '010000ffff0a0000050200',
      '010000ffff02f0ff',
    ]
    for (const hex of ends) {
      const bytes = Buffer.from(hex, 'hex')
      expect(await read(bytes), hex).toMatchObject([{ kind: 'corrupt', bytes: bytes.length }])
    }
  })

  it('is torn in every form of element', async () => {
    // a literal with its length in 1 to 4 bytes, copies with offsets of 1, 2 and 4 bytes
    const ends = [
      'f005',
      'f40005',
      'f8000005',
      'fc00000005',
      '0061',
      '0061 15',
      '0061 1501',
      '0061 1601',
      '0061 160100',
      '0061 17010000',
      '0061 1701000000',
    ]
    for (const hex of ends) {
      const bytes = Buffer.from(`010000ffff 8080808002 ${hex}`.replaceAll(' ', ''), 'hex')
      expect(await read(bytes), hex).toMatchObject([{ kind: 'torn', bytes: bytes.length }])
    }
  })

  test.prop([fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.nat()])(
    'calls every true beginning of a block torn',
    async (payload, at) => {
      const repeated = Buffer.concat([payload, payload, Buffer.alloc(100, 7), payload])
      const whole = entry(2, repeated)
      const size = 1 + (at % (whole.length - 1))
      expect(await read(whole.subarray(0, size))).toMatchObject([{ kind: 'torn', bytes: size }])
    },
  )

  it('never throws, and keeps what stands before a flipped bit', async () => {
    for (let bit = 0; bit < 8 * TWO.length; bit += 1) {
      const bytes = Buffer.from(TWO)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const seen = await read(bytes)
      expect(seen.length).toBeGreaterThan(0)
      if (bit >> 3 >= FIRST) expect(seen[0]).toEqual({ write: [A] })
    }
  })

  test.prop([fc.uint8Array({ maxLength: 300 })])('never throws on rubbish', async (rubbish) => {
    await read(rubbish)
    await read(Buffer.concat([Buffer.from([1, 0, 0, 0, rubbish.length]), rubbish]))
    await read(entry(1 + ((rubbish[0] ?? 0) % 3), rubbish))
    expect(snappyCompress(rubbish).length).toBeGreaterThan(0)
  })
})

describe('segmentNames', () => {
  it('keeps segments alone, in order of text as influxd reads them', () => {
    const names = [
      '_99999.wal',
      '_00002.wal',
      'x.wal',
      '_00001.wal',
      '_100000.wal',
      '_00003.wal.bak',
    ]
    const sorted = ['_00001.wal', '_00002.wal', '_100000.wal', '_99999.wal']
    expect(segmentNames(names)).toEqual(sorted)
  })
})
