import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { duplexPair } from '../../src/io/duplex-pair.ts'
import { rejected } from '../protocol/thrown.ts'

async function errorOf(end: Duplex): Promise<unknown> {
  if (end.errored !== null) return end.errored
  const [error] = await once(end, 'error')
  return error
}

describe('duplexPair', () => {
  it('carries bytes both ways, each way ended on its own', async () => {
    const [a, b] = duplexPair()
    a.end('question')
    expect(await text(b.iterator({ destroyOnReturn: false }))).toBe('question')
    expect(b.writable).toBe(true)
    b.end('answer')
    expect(await text(a)).toBe('answer')
    await Promise.all([finished(a), finished(b)])
  })

  it('carries much more than fits', async () => {
    const [a, b] = duplexPair()
    const bytes = Buffer.alloc(3_000_000, 'abc')
    const chunks = Array.from({ length: 300 }, (_, at) =>
      bytes.subarray(at * 10_000, (at + 1) * 10_000),
    )
    const [, received] = await Promise.all([pipeline(chunks, a), buffer(b)])
    expect(received.equals(bytes)).toBe(true)
  })

  it('passes pieces on as they are', async () => {
    const [a, b] = duplexPair()
    const pieces = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')]
    for (const piece of pieces) a.write(piece)
    a.end()
    const received: unknown[] = []
    for await (const piece of b) received.push(piece)
    expect(received).toHaveLength(3)
    for (const [at, piece] of pieces.entries()) expect(received[at]).toBe(piece)
  })

  it('makes a writer wait for its reader', async () => {
    const [a, b] = duplexPair()
    let written = 0
    const write = () => a.write(Buffer.alloc(16_384), () => written++)
    for (let index = 0; index < 20; index++) write()
    await turn()
    expect(written).toBeLessThan(4)
    b.resume()
    await once(a, 'drain')
    expect(written).toBe(20)
  })

  it('gives the error of one end to the other', async () => {
    const [a, b] = duplexPair()
    const error = new SnapError('E_DESTINATION', 'read-only')
    a.destroy(error)
    expect(await errorOf(b)).toBe(error)
    await expect(text(a)).rejects.toBe(error)
  })

  it('gives the error to a write that waits for room', async () => {
    const [a, b] = duplexPair()
    const error = new SnapError('E_DESTINATION', 'no')
    for (let index = 0; index < 3; index++) a.write('there is room for it')
    const write = new Promise((_, reject) => {
      a.write('there is none', (failure) => reject(failure))
    })
    await turn()
    b.destroy(error)
    await expect(write).rejects.toBeDefined()
    expect(a.errored).toBe(error)
  })

  it('does not let an end that was destroyed in the middle look whole', async () => {
    const [a, b] = duplexPair()
    a.write('half')
    const received = rejected(text(b))
    await turn()
    a.destroy()
    expect(await received).toMatchObject({ code: 'E_CUT', retryable: true })
  })

  it('lets all be read that was sent before a regular end', async () => {
    const [a, b] = duplexPair()
    a.end('all')
    await finished(a, { readable: false })
    a.destroy()
    await turn()
    expect(await text(b.iterator({ destroyOnReturn: false }))).toBe('all')
    const failure = new Promise((resolve) => b.write('to nobody', resolve))
    expect(await failure).toMatchObject({ code: 'E_CUT' })
  })
})
