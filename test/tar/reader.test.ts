import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Header, pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { readShardTar } from '../../src/tar/reader.ts'
import { packShardTar } from '../../src/tar/writer.ts'
import { collect, fixture, inChunks, listTar } from './streams.ts'

const NAME = 'db/rp/7/000000001-000000001.tsm'

/** A tar with one entry such as we never write. */
async function odd(header: Partial<Header> & { name: string }, body = 'one'): Promise<Buffer> {
  const packer = pack()
  packer.entry(header, body)
  packer.finalize()
  return await collect(Readable.from(packer))
}

function withBlock(bytes: Uint8Array, offset: number, change: (block: Uint8Array) => void) {
  const copy = Uint8Array.from(bytes)
  const block = copy.subarray(offset, offset + 512)
  change(block)
  let sum = 8 * 32
  for (let i = 0; i < 512; i += 1) if (i < 148 || i > 155) sum += block[i] ?? 0
  block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  return copy
}

async function all<T>(items: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

function failure(code: string, text: string) {
  return expect.objectContaining({ code, message: expect.stringContaining(text) })
}

describe('tars of a real influxd', () => {
  it.each([1, 7, 512, 65_536])('reads files and tombstones in chunks of %d', async (chunk) => {
    const files = await listTar(await fixture('two-files-and-tombstone'), { chunk })
    expect(files.map(({ name, size, mode }) => ({ name, size, mode }))).toEqual([
      { name: 'plain/autogen/2/000000001-000000001.tombstone', size: 58, mode: 0o644 },
      { name: 'plain/autogen/2/000000001-000000001.tsm', size: 185, mode: 0o644 },
      { name: 'plain/autogen/2/000000002-000000001.tsm', size: 99, mode: 0o644 },
    ])
    for (const { name, body } of files.slice(1)) {
      expect(body.subarray(0, 5).toString('hex'), name).toBe('16d116d101')
    }
  })

  it('says where bodies are', async () => {
    const bytes = await fixture('odd-name')
    for await (const { offset, size, body } of readShardTar(inChunks(bytes, 1000))) {
      expect(await collect(body)).toEqual(bytes.subarray(offset, offset + size))
    }
  })

  it('reads a name that is not ASCII', async () => {
    const [file] = await listTar(await fixture('odd-name'))
    expect(file?.name).toBe('wörld db/r p.1/1/000000001-000000001.tsm')
  })

  it('reads a name longer than 100 bytes', async () => {
    const [file] = await listTar(await fixture('long-name'))
    expect(file?.name).toBe(`${'long'.repeat(50)}/autogen/3/000000001-000000001.tsm`)
  })

  it('takes 1,024 zero bytes for a shard without files', async () => {
    expect(await listTar(await fixture('empty'))).toEqual([])
  })
})

describe('tars of GNU tar', () => {
  it('refuses the padding of GNU tar unless told', async () => {
    const bytes = await fixture('gnu-padded')
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'after the trailer'))
    const files = await listTar(bytes, { trailer: 'padded' })
    expect(files.map(({ name, size }) => [name, size])).toEqual([
      [NAME, 3],
      ['db/rp/7/000000002-000000001.tsm', 600],
    ])
    expect(files[0]).toMatchObject({ mtime: 1_600_000_000_000, mode: 0o644 })
    expect(files[0]?.body.toString()).toBe('one')
  })

  it('passes over directories', async () => {
    const files = await listTar(await fixture('gnu-directories'))
    expect(files.map(({ name }) => name)).toEqual([NAME, 'db/rp/7/000000002-000000001.tsm'])
  })

  it('reads the name of a GNU long name header', async () => {
    const [file] = await listTar(await fixture('gnu-long-name'))
    expect(file?.name).toBe(`${'l'.repeat(120)}/rp/7/000000001-000000001.tsm`)
  })

  it('reads the time of an extended header', async () => {
    const [file] = await listTar(await fixture('pax-mtime'))
    expect(file?.mtime).toBe(1_600_000_000_250)
  })

  it.each([
    ['concatenated', 'after the trailer'],
    ['pax-global', 'global header'],
    ['pax-sparse', 'sparse'],
    ['gnu-sparse', 'type unknown'],
    ['symlink', 'type symlink'],
  ])('refuses %s', async (name, text) => {
    const reading = listTar(await fixture(name), { trailer: 'padded' })
    await expect(reading).rejects.toThrow(failure('E_FORMAT', text))
  })
})

describe('what is not a whole tar', () => {
  it('names the entry, and what came and was expected, when a body is cut', async () => {
    const bytes = (await fixture('two-files-and-tombstone')).subarray(0, 1600)
    await expect(listTar(bytes, { name: 'shard 2' })).rejects.toThrow(
      failure(
        'E_CUT',
        'shard 2: cut in entry plain/autogen/2/000000001-000000001.tsm: 64 of 185 bytes',
      ),
    )
  })

  it.each(['two-files-and-tombstone', 'odd-name', 'gnu-long-name', 'empty'])(
    'calls %s cut wherever it ends',
    async (name) => {
      const bytes = await fixture(name)
      for (let length = 0; length < bytes.length; length += length % 512 < 4 ? 1 : 127) {
        await expect(listTar(bytes.subarray(0, length))).rejects.toThrow(failure('E_CUT', ''))
      }
    },
  )

  it.each([
    ['more zeros', Buffer.alloc(512), 'exact', 'after the trailer'],
    ['one more byte', Buffer.alloc(1), 'exact', 'after the trailer'],
    ['rubbish', Buffer.from('x'), 'padded', 'after the trailer'],
  ] as const)('refuses %s after the trailer', async (_, more, trailer, text) => {
    const bytes = Buffer.concat([await fixture('empty'), more])
    await expect(listTar(bytes, { trailer })).rejects.toThrow(failure('E_FORMAT', text))
  })

  it('refuses data after a single zero block', async () => {
    const bytes = Buffer.concat([Buffer.alloc(512), await fixture('odd-name')])
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'one zero block'))
  })

  it('refuses a zero block between an extended header and its header', async () => {
    const bytes = await fixture('odd-name')
    const gap = Buffer.concat([bytes.subarray(0, 1024), Buffer.alloc(512), bytes.subarray(1024)])
    await expect(listTar(gap)).rejects.toThrow(failure('E_FORMAT', 'zero block inside a header'))
  })

  it('refuses rubbish', async () => {
    const reading = listTar(Buffer.alloc(2048, 'rubbish'), { name: 'shard 7' })
    await expect(reading).rejects.toThrow(
      failure('E_FORMAT', 'shard 7: header at offset 0: not a tar header'),
    )
  })

  it('refuses every change of one bit in a header', async () => {
    const bytes = Uint8Array.from(await fixture('two-files-and-tombstone'))
    for (let bit = 0; bit < 512 * 8; bit += 13) {
      const copy = Uint8Array.from(bytes)
      copy[1024 + (bit >> 3)] = (copy[1024 + (bit >> 3)] ?? 0) ^ (1 << (bit & 7))
      // The last byte of the checksum field, and spaces around its digits, say nothing.
      const outcome = await listTar(copy).catch((error: unknown) => error)
      if (outcome instanceof SnapError) expect(outcome.code).toMatch(/E_FORMAT|E_CUT/)
      else expect(outcome).toEqual(await listTar(bytes))
    }
  })

  it('refuses an extended header without end', async () => {
    const bytes = await odd({ name: `db/rp/7/${'ü'.repeat(30_000)}` })
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'longer than 32768'))
  })

  it('refuses a name that is no path of a shard', async () => {
    const reading = listTar(await odd({ name: 'db/rp/7/../../../x' }))
    await expect(reading).rejects.toThrow(failure('E_FORMAT', 'refused'))
  })

  it('refuses a name that comes twice', async () => {
    const one = await odd({ name: NAME })
    const bytes = Buffer.concat([one.subarray(0, 1024), one])
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'comes twice'))
  })

  it('refuses padding that is not zero', async () => {
    const bytes = await odd({ name: NAME })
    bytes[1023] = 1
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'padding'))
  })

  it('refuses a directory with a body', async () => {
    const bytes = withBlock(await odd({ name: NAME }), 0, (block) => {
      block[156] = '5'.charCodeAt(0)
    })
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'a directory of 3 bytes'))
  })

  it.each([
    [[0xff, ...Array(10).fill(0xff), 0xfd], 'not a tar header'],
    [[0x80, ...Array(11).fill(0xff)], 'size'],
    [[...Buffer.from('zzz')], 'not a tar header'],
  ])('refuses a size field of %j', async (field, text) => {
    const bytes = withBlock(await odd({ name: NAME }), 0, (block) => block.set(field, 124))
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', text))
  })

  it('refuses a size in an extended header that is no number', async () => {
    const bytes = await odd({ name: NAME, pax: { size: '3x' } })
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'size 3x'))
  })

  it('refuses a time out of range', async () => {
    const bytes = await odd({ name: NAME, pax: { mtime: '1e300' } })
    await expect(listTar(bytes)).rejects.toThrow(failure('E_FORMAT', 'time out of range'))
  })

  it('takes a size of an extended header', async () => {
    const bytes = await odd({ name: NAME, pax: { size: '3' } })
    expect((await listTar(bytes)).map(({ size }) => size)).toEqual([3])
  })

  it.runIf(process.env['SLOW'] === '1')('refuses more entries than a shard has files', async () => {
    const entries = Array.from({ length: 100_001 }, (_, id) => ({
      name: `db/rp/${id}/x`,
      size: 0,
      mtime: new Date(0),
      body: [],
    }))
    const header = await collect(packShardTar(entries.slice(0, 1)))
    async function* headers() {
      // The same header with another name each time: encoding them all would take seconds.
      for (const { name } of entries) {
        yield withBlock(header.subarray(0, 512), 0, (block) => block.set(Buffer.from(name), 0))
      }
    }
    const reading = (async () => {
      for await (const _ of readShardTar(headers())) {
      }
    })()
    await expect(reading).rejects.toThrow(failure('E_FORMAT', 'more than 100000 entries'))
  })
})

describe('the consumer', () => {
  it('may leave a body unread, or read a part', async () => {
    const bodies: string[] = []
    for await (const entry of readShardTar(inChunks(await fixture('gnu-directories'), 100))) {
      if (entry.size === 3) continue
      for await (const chunk of entry.body) {
        bodies.push(Buffer.from(chunk).toString())
        break
      }
      bodies.push((await collect(entry.body)).length.toString())
    }
    expect(bodies).toEqual(['x'.repeat(28), '572'])
  })

  it('cannot read a body later', async () => {
    const reader = readShardTar(inChunks(await fixture('gnu-directories'), 512))
    const first = (await reader.next()).value?.body ?? []
    const second = (await reader.next()).value?.body ?? []
    await expect(all(first)).rejects.toThrow(failure('E_FAILED', 'read too late'))
    await reader.return()
    await expect(all(second)).rejects.toThrow(failure('E_FAILED', 'after it was closed'))
  })

  it('gets nothing read ahead', async () => {
    const state = { pulled: 0, closed: false }
    const bytes = await fixture('two-files-and-tombstone')
    const reader = readShardTar(inChunks(bytes, 512, state))
    expect((await reader.next()).value).toMatchObject({ size: 58 })
    expect(state.pulled).toBe(512)
    await sleep(5)
    expect(state.pulled).toBe(512)
    await reader.return()
    expect(state.closed).toBe(true)
  })

  it('closes the stream when it stops or throws', async () => {
    for (const leave of ['break', 'throw', 'body']) {
      const state = { closed: false }
      const reading = (async () => {
        const stream = inChunks(await fixture('two-files-and-tombstone'), 20, state)
        for await (const entry of readShardTar(stream)) {
          if (leave === 'break') break
          if (leave === 'throw') throw new Error('of the consumer')
          for await (const _ of entry.body) throw new Error('of the consumer')
        }
      })()
      if (leave === 'break') await reading
      else await expect(reading).rejects.toThrow('of the consumer')
      expect(state.closed).toBe(true)
    }
  })

  it('sees the error of the stream as it is', async () => {
    const error = new Error('reset by peer')
    async function* broken() {
      yield (await fixture('odd-name')).subarray(0, 700)
      throw error
    }
    await expect(all(readShardTar(broken()))).rejects.toBe(error)
  })

  it('may abort a wait that would never end', async () => {
    const stuck = new PassThrough()
    stuck.write((await fixture('odd-name')).subarray(0, 700))
    const signal = AbortSignal.timeout(20)
    const reading = all(readShardTar(stuck, { signal }))
    await expect(reading).rejects.toThrow(failure('E_FAILED', 'shard tar: stopped'))
  })

  it('aborts although the stream does not answer', async () => {
    const silent: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => {}),
        return: () => Promise.reject(new Error('late')),
      }),
    }
    const error = new SnapError('E_INTERRUPTED', 'interrupted')
    const controller = new AbortController()
    const reading = all(readShardTar(silent, { signal: controller.signal }))
    controller.abort(error)
    await expect(reading).rejects.toBe(error)
    await expect(all(readShardTar(silent, { signal: controller.signal }))).rejects.toBe(error)
  })

  it('works on a stream that cannot be closed', async () => {
    const bytes = await fixture('odd-name')
    const iterator = inChunks(bytes, 100)
    const bare = { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) }
    for await (const { name } of readShardTar(bare)) {
      expect(name).toContain('wörld')
      break
    }
  })

  it('cannot pull from two places at once', async () => {
    const stuck = new PassThrough()
    stuck.write((await fixture('odd-name')).subarray(0, 1536))
    const reader = readShardTar(stuck)
    const { value } = await reader.next()
    if (value === undefined) throw new Error('no entry')
    const [first, second] = [collect(value.body), collect(value.body)]
    await expect(second).rejects.toThrow(failure('E_FAILED', 'two readers'))
    stuck.destroy(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
  })

  it('leaves no listeners behind', async () => {
    const controller = new AbortController()
    let listening = 0
    const { signal } = controller
    const [add, remove] = [signal.addEventListener, signal.removeEventListener]
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening += 1
      add.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening -= 1
      remove.apply(signal, args)
    }
    const stream = Readable.from(inChunks(await fixture('two-files-and-tombstone'), 100))
    for await (const entry of readShardTar(stream, { signal })) await collect(entry.body)
    expect(listening).toBe(0)
  })
})
