import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Handoff } from '../../src/io/handoff.ts'

const chunk = (text: string) => Buffer.from(text)

it('hands chunks over one by one: a put is done when the next is asked for', async () => {
  const handoff = new Handoff()
  const done: string[] = []
  const writing = (async () => {
    for (const text of ['a', 'b']) {
      await handoff.put(chunk(text))
      done.push(text)
    }
    handoff.end()
  })()
  const read: string[] = []
  for await (const bytes of handoff) {
    await sleep(5)
    expect(done).toEqual(read)
    read.push(Buffer.from(bytes).toString())
  }
  await writing
  expect(read).toEqual(['a', 'b'])
})

it('tells the reader of a failure, after what was given before', async () => {
  const handoff = new Handoff()
  const putting = handoff.put(chunk('a'))
  handoff.fail(new Error('broken'))
  handoff.end()
  expect(await handoff.next()).toMatchObject({ done: false })
  await expect(handoff.next()).rejects.toThrow('broken')
  await putting
})

it('lets a writer go when the reader has left', async () => {
  const content = new Handoff()
  const waiting = content.put(chunk('a'))
  content.leave()
  await waiting
  await content.put(chunk('b'))

  const failed = new Handoff()
  const refused = failed.put(chunk('a'))
  failed.leave(new Error('disk full'))
  await expect(refused).rejects.toThrow('disk full')
  await expect(failed.put(chunk('b'))).rejects.toThrow('disk full')
})
