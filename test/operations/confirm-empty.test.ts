import { expect, it } from 'vitest'
import { confirmEmpty } from '../../src/operations/confirm-empty.ts'

async function* chunksOf(...sizes: readonly number[]) {
  for (const size of sizes) yield new Uint8Array(size)
}

async function read(first: readonly number[], second: readonly number[]) {
  const asked: number[] = []
  const again = () => {
    asked.push(1)
    return chunksOf(...second)
  }
  let size = 0
  for await (const chunk of confirmEmpty(chunksOf(...first), again, 'shard 1')) size += chunk.length
  return { size, asked: asked.length }
}

it.each([
  [[2048], [], 0],
  [[512], [], 0],
  [[512, 512], [1000, 24], 1],
])('an answer of %j bytes stands, with a second one of %j', async (first, second, asked) => {
  const size = first.reduce((sum, part) => sum + part, 0)
  expect(await read(first, second)).toEqual({ size, asked })
})

it.each([[[1024, 512]], [[4096, 4096]], [[512]], [[]]])(
  'an empty answer does not stand if a second one has %j bytes',
  async (second) => {
    await expect(read([1024], second)).rejects.toMatchObject({
      code: 'E_SOURCE_DAMAGED',
      retryable: true,
      message: 'shard 1: came without files, and otherwise when asked again',
    })
  },
)
