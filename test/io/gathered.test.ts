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
  const gathered = new Gathered(5000)
  for (let i = 0; i < 5000; i++) {
    gathered.add(Uint8Array.of(i))
    const { byteLength } = gathered.bytes.buffer
    // Small buffers are cut from one that Node shares.
    if (gathered.size > 4096) expect(byteLength).toBe(5000)
  }
})
