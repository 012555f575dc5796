import { fc, test } from '@fast-check/vitest'
import { describe, expect, it } from 'vitest'
import { encodeHeader } from '../../src/tar/header.ts'
import { readShardTar } from '../../src/tar/reader.ts'
import { packShardTar, type TarEntryInput } from '../../src/tar/writer.ts'
import { collect, inChunks, listTar } from './streams.ts'

const NAME = 'db/rp/7/000000001-000000001.tsm'

function input(over: Partial<TarEntryInput>): TarEntryInput {
  return { name: NAME, size: 3, mtime: new Date(0), body: [Buffer.from('one')], ...over }
}

function failure(code: string, text: string) {
  return expect.objectContaining({ code, message: expect.stringContaining(text) })
}

/** What comes out before the error, and the error. */
async function untilError(stream: AsyncIterable<Uint8Array>) {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk)
  } catch (error) {
    return { error, bytes: Buffer.concat(chunks) }
  }
  throw new Error('no error')
}

describe('packShardTar', () => {
  it('writes 1,024 zero bytes for no entries', async () => {
    expect(await collect(packShardTar([]))).toEqual(Buffer.alloc(1024))
  })

  it('writes header, body, padding and trailer', async () => {
    const bytes = await collect(packShardTar([input({ mtime: new Date(1_600_000_000_999) })]))
    expect(bytes).toHaveLength(2048)
    const field = (start: number, end: number) => bytes.toString('latin1', start, end)
    expect(field(0, 100)).toBe(NAME.padEnd(100, '\0'))
    expect(field(100, 108)).toBe('000644 \0')
    expect(field(124, 136)).toBe('00000000003 ')
    expect(field(136, 148)).toBe('13727410000 ')
    expect(field(156, 157)).toBe('0')
    expect(field(257, 265)).toBe('ustar\x0000')
    expect(bytes.subarray(512, 515).toString()).toBe('one')
    expect(bytes.subarray(515)).toEqual(Buffer.alloc(2048 - 515))
  })

  it('writes the same bytes each time', async () => {
    const entries = [input({ mode: 0o600 })]
    expect(await collect(packShardTar(entries))).toEqual(await collect(packShardTar(entries)))
  })

  const part = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
    .filter((name) => !/[/\\\p{Cc}\p{Cs}]/u.test(name) && name !== '.' && name !== '..')
  const entry = fc.record({
    name: fc.tuple(part, part, fc.nat(), part).map((parts) => parts.join('/')),
    body: fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 3 }),
    mode: fc.nat(0o777),
    // To the year 2242, where the seconds need a twelfth octal digit.
    seconds: fc.nat(2 ** 33 - 1),
  })
  test.prop([
    fc.uniqueArray(entry, { selector: ({ name }) => name, maxLength: 4 }),
    fc.integer({ min: 1, max: 2000 }),
  ])('writes what readShardTar reads', async (entries, chunk) => {
    const inputs = entries.map(({ name, body, mode, seconds }) => ({
      name,
      body,
      mode,
      size: Buffer.concat(body).length,
      mtime: new Date(seconds * 1000),
    }))
    const bytes = await collect(packShardTar(inputs))
    expect(await listTar(bytes, { chunk })).toEqual(
      inputs.map(({ body, mtime, ...rest }) => ({
        ...rest,
        mtime: mtime.getTime(),
        body: Buffer.concat(body),
      })),
    )
  })

  it('takes times before 1970 for 1970', async () => {
    const bytes = await collect(packShardTar([input({ mtime: new Date(-5000) })]))
    expect((await listTar(bytes))[0]?.mtime).toBe(0)
  })

  it.each([2 ** 33 - 1, 2 ** 33, 2 ** 40 + 5])(
    'writes the header of a body of %d bytes',
    async (size) => {
      const header = await encodeHeader({ name: NAME, size, mtime: new Date(0), mode: 0o644 })
      const reader = readShardTar(inChunks(header, 512))
      expect((await reader.next()).value).toMatchObject({ name: NAME, size })
      await reader.return()
    },
  )

  it.each([
    ['E_CUT', 4, 'shorter than its size, expected 4 bytes, got 3'],
    ['E_FORMAT', 2, 'longer than its size, expected 2 bytes, got at least 3'],
  ])(
    'ends in %s without a trailer if the size is %d and the body is not',
    async (code, size, text) => {
      const { error, bytes } = await untilError(packShardTar([input({ size })]))
      expect(error).toEqual(failure(code, text))
      expect(bytes.length).toBeLessThan(1024)
    },
  )

  it('ends without a trailer if a body or the list of entries fails', async () => {
    const broken = new Error('disk on fire')
    async function* body() {
      yield Buffer.from('on')
      throw broken
    }
    const inBody = await untilError(packShardTar([input({ body: body() })]))
    expect(inBody.error).toBe(broken)
    expect(inBody.bytes).toHaveLength(514)
    async function* entries() {
      yield input({})
      throw broken
    }
    const between = await untilError(packShardTar(entries()))
    expect(between.error).toBe(broken)
    expect(between.bytes).toHaveLength(515)
  })

  it('refuses names that are unsafe or come twice', async () => {
    const unsafe = packShardTar([input({ name: '../x' })])
    await expect(collect(unsafe)).rejects.toThrow(failure('E_FORMAT', 'refused'))
    const twice = packShardTar([input({}), input({})])
    await expect(collect(twice)).rejects.toThrow(failure('E_FORMAT', 'comes twice'))
  })

  it('opens a body when its turn comes, and closes all when the consumer stops', async () => {
    const states = [{ pulled: 0 }, { pulled: 0 }]
    const closed: string[] = []
    async function* entries() {
      try {
        for (const [i, state] of states.entries()) {
          const body = inChunks(Buffer.alloc(1000), 100, state)
          yield input({ name: `db/rp/7/${i}.tsm`, size: 1000, body })
        }
      } finally {
        closed.push('entries')
      }
    }
    const stream = packShardTar(entries())
    await stream.next()
    await stream.next()
    expect(states).toEqual([{ pulled: 100 }, { pulled: 0 }])
    await stream.return()
    expect(states[0]).toEqual({ pulled: 100, closed: true })
    expect(closed).toEqual(['entries'])
  })
})
