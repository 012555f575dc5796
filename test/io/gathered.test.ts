import { fc, test } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { Gathered } from '../../src/io/gathered.ts'

test.prop([fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 })])(
  'gathers pieces to what they were cut from',
  (pieces) => {
    const whole = Buffer.concat(pieces)
    const gathered = new Gathered(whole.length)
    for (const piece of pieces) {
      gathered.add(piece)
      piece.fill(0)
    }
    expect(gathered.size).toBe(whole.length)
    expect(Buffer.from(gathered.bytes).equals(whole)).toBe(true)
  },
)

it('takes no more than twice what came, and never more than the limit', () => {
  const limit = 100_000
  const gathered = new Gathered(limit)
  for (let i = 0; i < limit / 100; i++) {
    gathered.add(new Uint8Array(100))
    const { byteLength } = gathered.bytes.buffer
    // Small buffers are cut from one that Node shares.
    if (gathered.size > 65_536) expect(byteLength).toBe(limit)
    else if (gathered.size > 32_768) expect(byteLength).toBe(65_536)
  }
})
