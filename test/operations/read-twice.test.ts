import { expect, it } from 'vitest'
import { readTwice } from '../../src/operations/read-twice.ts'

/** Answers one after the other, the last one again and again. */
function asking(...answers: readonly string[]) {
  let asked = 0
  const ask = async () => answers[Math.min(asked++, answers.length - 1)] ?? ''
  const question = { what: 'list', ask, bytesOf: (answer: string) => Buffer.from(answer) }
  return { question, asked: () => asked }
}

it.each([
  [['a'], 'a', 2],
  [['b', 'a'], 'a', 3],
  [['a', 'b', 'a'], 'a', 4],
  [['a', 'b', 'c', 'd', 'e'], 'e', 6],
])('of %j takes %j after %i answers', async (answers, expected, count) => {
  const { question, asked } = asking(...answers)
  expect(await readTwice(question)).toBe(expected)
  expect(asked()).toBe(count)
})

it('gives up where no two are the same', async () => {
  await expect(readTwice(asking('a', 'b', 'c', 'd', 'e', 'f').question)).rejects.toMatchObject({
    code: 'E_SOURCE_DAMAGED',
    message: 'list came differently 6 times in a row',
  })
})
