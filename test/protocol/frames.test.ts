import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeMetastoreFrame,
  decodeShardIds,
  encodeMetastoreFrame,
  encodeShardIds,
} from '../../src/protocol/index.ts'
import { MAX_META_SIZE, MAX_NODE_SIZE } from '../../src/protocol/metastore-frame.ts'
import { thrown, valueOrSnapError } from './thrown.ts'

const MAGIC = '0000000059590101'
const META = Buffer.from('meta')
const NODE = Buffer.from('null\n')

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

/** Every prefix must be told as cut, and every flipped bit must be refused or change the value. */
function fuzz(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): void {
  const right = decode(bytes)
  for (let length = 0; length < bytes.length; length++) {
    const error = thrown(() => decode(bytes.subarray(0, length)))
    expect(error).toMatchObject({ code: 'E_CUT', retryable: true })
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(valueOrSnapError(() => decode(flipped))).not.toEqual(right)
  }
  expect(thrown(() => decode(Buffer.concat([bytes, Buffer.alloc(1)]))).code).toBe('E_PROTOCOL')
}

describe('metastore frame', () => {
  it('is magic, length, meta, length, node, big-endian', () => {
    const bytes = Buffer.from(encodeMetastoreFrame({ meta: META, node: NODE }))
    expect(bytes).toEqual(hex(`${MAGIC} 0000000000000004 6d657461 0000000000000005 6e756c6c0a`))
  })

  it('gives back what went in', () => {
    const bytes = fc.uint8Array({ maxLength: 100 })
    fc.assert(
      fc.property(bytes, bytes, (meta, node) => {
        const frame = decodeMetastoreFrame(encodeMetastoreFrame({ meta, node }))
        expect(Buffer.from(frame.meta)).toEqual(Buffer.from(meta))
        expect(Buffer.from(frame.node)).toEqual(Buffer.from(node))
      }),
    )
  })

  it('is refused when cut, flipped or followed by anything', () => {
    fuzz(encodeMetastoreFrame({ meta: META, node: NODE }), decodeMetastoreFrame)
  })

  it('is refused before a length past the limits is used', () => {
    const meta = hex(`${MAGIC} 0000000004000001`)
    expect(thrown(() => decodeMetastoreFrame(meta))).toMatchObject({
      code: 'E_PROTOCOL',
      message: 'metastore frame: 67108865 bytes of metastore, expected at most 67108864',
    })
    const node = hex(`${MAGIC} 0000000000000000 ffffffffffffffff`)
    expect(thrown(() => decodeMetastoreFrame(node)).message).toMatch(/of node JSON/)
  })

  it('is not made past the limits', () => {
    const meta = new Uint8Array(MAX_META_SIZE + 1)
    const node = new Uint8Array(MAX_NODE_SIZE + 1)
    expect(thrown(() => encodeMetastoreFrame({ meta, node: NODE })).code).toBe('E_PROTOCOL')
    expect(thrown(() => encodeMetastoreFrame({ meta: META, node })).code).toBe('E_PROTOCOL')
  })
})

describe('shard-id map', () => {
  it('is magic, count and pairs ordered by the old id', () => {
    const bytes = Buffer.from(
      encodeShardIds(
        new Map([
          [10n, 2n],
          [9n, 2n ** 64n - 1n],
        ]),
      ),
    )
    expect(bytes).toEqual(
      hex(
        `${MAGIC} 0000000000000002 0000000000000009 ffffffffffffffff 000000000000000a 0000000000000002`,
      ),
    )
  })

  it('without pairs says that nothing was changed', () => {
    expect(Buffer.from(encodeShardIds(new Map()))).toEqual(hex(`${MAGIC} 0000000000000000`))
    expect(decodeShardIds(hex(`${MAGIC} 0000000000000000`)).size).toBe(0)
  })

  it('gives back what went in, whatever the order', () => {
    const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    const pairs = fc.uniqueArray(fc.tuple(id, id), { selector: ([old]) => old })
    fc.assert(
      fc.property(pairs, (list) => {
        const bytes = encodeShardIds(new Map(list))
        expect(decodeShardIds(bytes)).toEqual(new Map(list))
        expect(encodeShardIds(new Map([...list].reverse()))).toEqual(bytes)
      }),
    )
  })

  it('is refused when cut, flipped or followed by anything', () => {
    fuzz(encodeShardIds(new Map([[1n, 2n]])), decodeShardIds)
  })

  it('is refused before a count past the limit is used', () => {
    const error = thrown(() => decodeShardIds(hex(`${MAGIC} ffffffffffffffff`)))
    expect(error).toMatchObject({ code: 'E_PROTOCOL' })
  })
})
