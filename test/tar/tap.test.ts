import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { tapShardTar } from '../../src/tar/tap.ts'
import { collect, fixture, inChunks, listTar } from './streams.ts'

function failure(code: string, text: string) {
  return expect.objectContaining({ code, message: expect.stringContaining(text) })
}

describe('tapShardTar', () => {
  test.prop([
    fc.constantFrom('two-files-and-tombstone', 'odd-name', 'empty'),
    fc.integer({ min: 1, max: 5000 }),
    fc.constantFrom('all', 'none', 'some'),
  ])('passes the very same bytes while entries are seen', async (name, chunk, read) => {
    const bytes = await fixture(name)
    const seen: { name: string; body?: Buffer }[] = []
    const out = await collect(
      tapShardTar(inChunks(bytes, chunk), async ({ name, body }) => {
        await sleep(0)
        if (read === 'all') seen.push({ name, body: await collect(body) })
        else seen.push({ name })
        if (read === 'some') for await (const _ of body) break
      }),
    )
    expect(out).toEqual(bytes)
    const files = await listTar(bytes)
    expect(seen).toEqual(
      files.map(({ name, body }) => (read === 'all' ? { name, body } : { name })),
    )
  })

  it('asks for more while an entry is checked, and ends when all are', async () => {
    const bytes = await fixture('odd-name')
    const seen: string[] = []
    async function* body() {
      yield* inChunks(bytes, 1600)
      seen.push('all came')
    }
    const stream = tapShardTar(body(), async ({ body }) => {
      await collect(body)
      return async () => {
        seen.push('begun')
        await sleep(20)
        seen.push('checked')
      }
    })
    expect(await collect(stream)).toEqual(bytes)
    expect(seen).toEqual(['begun', 'all came', 'checked'])
  })

  it('checks one entry before it looks at the next', async () => {
    const seen: string[] = []
    const bytes = await fixture('two-files-and-tombstone')
    const stream = tapShardTar(inChunks(bytes, 1024), async ({ body, size }) => {
      seen.push(`${size}`)
      await collect(body)
      return async () => {
        await sleep(5)
        seen.push('checked')
      }
    })
    await collect(stream)
    const sizes = (await listTar(bytes)).map(({ body }) => `${body.length}`)
    expect(seen).toEqual(sizes.flatMap((size) => [size, 'checked']))
  })

  it.each(['odd-name', 'two-files-and-tombstone'])(
    'fails as the check of an entry of %s does',
    async (name) => {
      const error = new SnapError('E_INTEGRITY', 'a block is damaged')
      const stream = tapShardTar(inChunks(await fixture(name), 512), () => async () => {
        await sleep(1)
        throw error
      })
      await expect(collect(stream)).rejects.toBe(error)
    },
  )

  it('waits for a check when the consumer stops', async () => {
    let isOver = false
    const stream = tapShardTar(inChunks(await fixture('odd-name'), 512), () => async () => {
      await sleep(20)
      isOver = true
    })
    let passed = 0
    for await (const chunk of stream) {
      passed += chunk.length
      if (passed > 1024) break
    }
    expect(isOver).toBe(true)
  })

  it('passes the padding of GNU tar when told', async () => {
    const bytes = await fixture('gnu-padded')
    const stream = tapShardTar(inChunks(bytes, 4096), () => {}, { trailer: 'padded' })
    expect(await collect(stream)).toEqual(bytes)
  })

  it('holds one chunk, and passes it on when it was looked at', async () => {
    const state = { pulled: 0, closed: false }
    const bytes = await fixture('two-files-and-tombstone')
    const seen: string[] = []
    const stream = tapShardTar(inChunks(bytes, 512, state), (entry) => {
      seen.push(entry.name.slice(-14))
    })
    const first = await stream.next()
    expect(first.value).toHaveLength(512)
    expect(seen).toEqual(['1.tombstone'.padStart(14, '0')])
    await sleep(5)
    expect(state.pulled).toBe(512)
    await stream.return()
    expect(state.closed).toBe(true)
  })

  it('fails at the end of a cut tar, after the bytes that came', async () => {
    const bytes = (await fixture('two-files-and-tombstone')).subarray(0, 3072)
    let passed = 0
    const passing = (async () => {
      for await (const chunk of tapShardTar(inChunks(bytes, 512), () => {}, { name: 'shard 2' })) {
        passed += chunk.length
      }
    })()
    await expect(passing).rejects.toThrow(failure('E_CUT', 'shard 2: ended after 3072 bytes'))
    expect(passed).toBe(3072)
  })

  it('fails as soon as there is rubbish, and closes the stream', async () => {
    const state = { pulled: 0, closed: false }
    const bytes = Buffer.concat([await fixture('odd-name'), Buffer.alloc(100_000)])
    await expect(collect(tapShardTar(inChunks(bytes, 512, state), () => {}))).rejects.toThrow(
      failure('E_FORMAT', 'after the trailer'),
    )
    expect(state).toEqual({ pulled: 3072 + 512, closed: true })
  })

  it('fails with the error of onEntry', async () => {
    const error = new SnapError('E_INTEGRITY', 'bad block')
    const state = { closed: false }
    const stream = tapShardTar(inChunks(await fixture('odd-name'), 100, state), () => {
      throw error
    })
    await expect(collect(stream)).rejects.toBe(error)
    expect(state.closed).toBe(true)
  })

  it('fails with the error of the stream, which onEntry sees too', async () => {
    const error = new Error('reset by peer')
    async function* broken() {
      yield (await fixture('odd-name')).subarray(0, 1600)
      throw error
    }
    let seen: unknown
    const stream = tapShardTar(broken(), async ({ body }) => {
      await collect(body).catch((caught: unknown) => {
        seen = caught
      })
    })
    await expect(collect(stream)).rejects.toBe(error)
    expect(seen).toBe(error)
  })

  it('waits for onEntry when the consumer stops, and lets its body fail', async () => {
    let seen: unknown
    const stream = tapShardTar(inChunks(await fixture('odd-name'), 1600), async ({ body }) => {
      await collect(body).catch((caught: unknown) => {
        seen = caught
      })
    })
    for await (const _ of stream) break
    expect(seen).toEqual(failure('E_CUT', 'left before its end'))
  })

  it('may abort a wait that would never end', async () => {
    const stuck = new PassThrough()
    stuck.write((await fixture('odd-name')).subarray(0, 1600))
    const signal = AbortSignal.timeout(20)
    const passing = collect(tapShardTar(stuck, () => {}, { signal }))
    await expect(passing).rejects.toThrow(failure('E_FAILED', 'shard tar: stopped'))
  })

  it('stops at once when aborted', async () => {
    const controller = new AbortController()
    const bytes = await fixture('odd-name')
    const error = new SnapError('E_INTERRUPTED', 'interrupted')
    const stream = tapShardTar(
      inChunks(bytes, 1600),
      async () => {
        controller.abort(error)
      },
      { signal: controller.signal },
    )
    await expect(collect(stream)).rejects.toBe(error)
  })
})
