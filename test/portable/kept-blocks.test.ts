import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { KeptBlocks } from '../../src/portable/kept-blocks.ts'

const SIZE = 128 * 1024

/** Blocks filled with their numbers; `made` has every buffer that was made, in order. */
function blocks(most: number, fail: (number: number) => boolean = () => false) {
  const made: { number: number; bytes: Uint8Array }[] = []
  const inflate = async (number: number) => {
    await turn()
    if (fail(number)) throw new Error(`no block ${number}`)
    const bytes = new Uint8Array(SIZE).fill(number)
    made.push({ number, bytes })
    return bytes
  }
  const kept = new KeptBlocks(inflate, () => SIZE, most)
  /** Uses a block and returns its first byte and its length. */
  const use = async (number: number) => {
    let seen: readonly (number | undefined)[] = []
    await kept.use(number, (bytes) => {
      seen = [bytes[0], bytes.length]
    })
    return seen
  }
  return { made, kept, use, numbers: () => made.map(({ number }) => number) }
}

describe('KeptBlocks', () => {
  it('keeps the blocks used last, as many as there is room for, and frees the others', async () => {
    const { made, use, numbers } = blocks(3 * SIZE)
    for (const number of [1, 2, 3, 1]) expect(await use(number)).toEqual([number, SIZE])
    expect(numbers()).toEqual([1, 2, 3])
    await use(4)
    await turn()
    expect(made.map(({ bytes }) => bytes.length)).toEqual([SIZE, 0, SIZE, SIZE])
    await use(1)
    await use(2)
    expect(numbers()).toEqual([1, 2, 3, 4, 2])
  })

  it('keeps two blocks, however large they are', async () => {
    const { use, numbers } = blocks(1)
    for (const number of [1, 2, 1, 2, 3, 2, 1]) await use(number)
    expect(numbers()).toEqual([1, 2, 3, 1])
  })

  it('frees no block that somebody waits for', async () => {
    const { made, use } = blocks(1)
    const numbers = [1, 2, 3, 4, 5, 1, 2]
    const seen = await Promise.all(numbers.map(use))
    expect(seen).toEqual(numbers.map((number) => [number, SIZE]))
    await turn()
    expect(made.filter(({ bytes }) => bytes.length > 0)).toHaveLength(2)
  })

  it('makes a block again that could not be made', async () => {
    let isBroken = true
    const { use, numbers } = blocks(1, () => isBroken)
    const seen = await Promise.allSettled([use(1), use(1)])
    expect(seen.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    isBroken = false
    expect(await use(1)).toEqual([1, SIZE])
    expect(numbers()).toEqual([1])
  })

  it('frees all', async () => {
    const { made, kept, use } = blocks(4 * SIZE)
    await use(1)
    await use(2)
    kept.clear()
    await turn()
    expect(made.map(({ bytes }) => bytes.length)).toEqual([0, 0])
    expect(await use(1)).toEqual([1, SIZE])
  })
})
