import { getEventListeners } from 'node:events'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { pour } from '../../src/io/pour.ts'

const { signal } = new AbortController()

/** Gives numbered chunks, and notes which were asked for and whether the source was closed. */
function source(count: number, error?: Error) {
  const asked: number[] = []
  let closed = false
  async function* chunks() {
    try {
      for (let i = 0; i < count; i++) {
        asked.push(i)
        yield Uint8Array.of(i)
      }
      if (error !== undefined) throw error
    } finally {
      closed = true
    }
  }
  return { asked, chunks: chunks(), isClosed: () => closed }
}

/** A sink of no room, whose chunks are taken one by one. */
function slowSink() {
  const got: number[] = []
  let take: (error?: Error) => void = () => {}
  let come: () => void = () => {}
  const sink = new Writable({
    highWaterMark: 1,
    write(chunk: Uint8Array, _encoding, callback) {
      got.push(...chunk)
      take = callback
      come()
    },
  })
  sink.on('error', () => {})
  const next = () =>
    new Promise<void>((resolve) => {
      come = resolve
    })
  return { got, sink, next, take: (error?: Error) => take(error) }
}

describe('pour', () => {
  it('asks for the next chunk, and no more, while one is on its way', async () => {
    const { asked, chunks, isClosed } = source(3)
    const { got, sink, next, take } = slowSink()
    let begun = next()
    const poured = pour(chunks, sink, signal)
    for (const i of [0, 1, 2]) {
      await begun
      expect(got.at(-1)).toBe(i)
      expect(asked.at(-1)).toBe(Math.min(i + 1, 2))
      begun = next()
      take()
    }
    await poured
    expect(got).toEqual([0, 1, 2])
    expect(isClosed()).toBe(true)
    expect(sink.writableEnded).toBe(false)
    expect(sink.listenerCount('drain')).toBe(0)
  })

  it('does not wait for a sink that has room', async () => {
    const got: number[] = []
    const sink = new Writable({
      write(chunk: Uint8Array, _encoding, callback) {
        got.push(...chunk)
        callback()
      },
    })
    await pour(source(3).chunks, sink, signal)
    expect(got).toEqual([0, 1, 2])
  })

  it('fails with the error of the source, after what came before it', async () => {
    const { chunks } = source(2, new Error('unreadable'))
    const { got, sink, next, take } = slowSink()
    let begun = next()
    const poured = pour(chunks, sink, signal)
    for (const _ of [0, 1]) {
      await begun
      begun = next()
      take()
    }
    await expect(poured).rejects.toThrow('unreadable')
    expect(got).toEqual([0, 1])
  })

  it('fails with the error of a sink that breaks, and closes the source', async () => {
    const { chunks, isClosed } = source(9)
    const { sink, next, take } = slowSink()
    const begun = next()
    const poured = pour(chunks, sink, signal)
    await begun
    take(new Error('reset'))
    await expect(poured).rejects.toThrow('reset')
    expect(isClosed()).toBe(true)
  })

  it('fails if the sink is destroyed or ended by somebody else', async () => {
    for (const stop of [(sink: Writable) => sink.destroy(), (sink: Writable) => sink.end()]) {
      const { chunks, isClosed } = source(9)
      const sink = new Writable({ write: (_chunk, _encoding, callback) => callback() })
      sink.on('error', () => {})
      stop(sink)
      await expect(pour(chunks, sink, signal)).rejects.toThrow()
      expect(isClosed()).toBe(true)
    }
  })

  it('stops at the signal, even if the sink takes nothing more', async () => {
    const controller = new AbortController()
    const { chunks, isClosed } = source(9)
    const { sink, next } = slowSink()
    const begun = next()
    const poured = pour(chunks, sink, controller.signal)
    await begun
    controller.abort(new Error('the peer is gone'))
    await expect(poured).rejects.toThrow('the peer is gone')
    expect(isClosed()).toBe(true)
    expect(sink.destroyed).toBe(false)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    const late = source(9)
    await expect(pour(late.chunks, sink, controller.signal)).rejects.toThrow('the peer is gone')
    expect(late.isClosed()).toBe(true)
  })
})
