import { randomBytes } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ARCHIVE_BLOCK_SIZE } from '../../src/portable/archive-blocks.ts'
import { deflateBlock } from '../../src/portable/deflate-block.ts'

/** An empty block with BFINAL set: what a flushed stream lacks of its end. */
const LAST = Buffer.from([3, 0])

describe('deflateBlock', () => {
  it('knows nothing of the block before, and ends at a whole byte', async () => {
    const text = Buffer.from('to be, or not to be, or to be again '.repeat(1000))
    const blocks = [text, text, Buffer.alloc(1), text.subarray(1), randomBytes(300_000)]
    const room = Buffer.alloc(400_000)
    for (const bytes of blocks) {
      const compressed = await deflateBlock({ bytes }, room)
      expect(compressed.buffer).toBe(room.buffer)
      expect(inflateRawSync(Buffer.concat([compressed, LAST])).equals(bytes)).toBe(true)
    }
  })

  it('has room for a block that does not get smaller', async () => {
    const bytes = randomBytes(ARCHIVE_BLOCK_SIZE)
    const compressed = await deflateBlock({ bytes }, Buffer.alloc(bytes.length + 64 * 1024))
    expect(compressed.length).toBeGreaterThan(bytes.length)
    expect(inflateRawSync(Buffer.concat([compressed, LAST])).equals(bytes)).toBe(true)
  })

  it('fails where there is not enough room, and goes on with the next', async () => {
    const bytes = randomBytes(10_000)
    await expect(deflateBlock({ bytes }, Buffer.alloc(9000))).rejects.toThrow(RangeError)
    const compressed = await deflateBlock({ bytes }, Buffer.alloc(11_000))
    expect(inflateRawSync(Buffer.concat([compressed, LAST])).equals(bytes)).toBe(true)
  })

  it('compresses many at once', async () => {
    const blocks = Array.from({ length: 12 }, (_, i) => Buffer.alloc(200_000, `block ${i} `))
    const all = await Promise.all(
      blocks.map((bytes) => deflateBlock({ bytes }, Buffer.alloc(bytes.length))),
    )
    const back = all.map((bytes) => inflateRawSync(Buffer.concat([bytes, LAST])))
    expect(back.map((bytes, i) => bytes.equals(blocks[i] ?? LAST))).not.toContain(false)
  })
})
