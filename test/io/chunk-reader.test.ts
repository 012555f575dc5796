import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChunkReader } from '../../src/io/chunk-reader.ts'
import { rejected } from '../protocol/thrown.ts'

async function* chunksOf(...chunks: readonly (string | Uint8Array)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

function reader(...chunks: readonly string[]): ChunkReader {
  return new ChunkReader(chunksOf(...chunks), 'stream')
}

async function restOf(source: ChunkReader): Promise<string[]> {
  const chunks: string[] = []
  for await (const chunk of source.rest()) chunks.push(Buffer.from(chunk).toString())
  return chunks
}

describe('ChunkReader', () => {
  it('reads by size across chunks', async () => {
    const source = reader('ab', '', 'cdef')
    expect(Buffer.from(await source.readExactly(3)).toString()).toBe('abc')
    expect(Buffer.from(await source.readExactly(0)).toString()).toBe('')
    expect(await restOf(source)).toEqual(['def'])
  })

  it('gives a view when one chunk holds all', async () => {
    const chunk = Buffer.from('abcdef')
    const source = new ChunkReader(
      (async function* () {
        yield chunk
      })(),
      'stream',
    )
    expect((await source.readExactly(2)).buffer).toBe(chunk.buffer)
  })

  it('reads up to a byte across chunks', async () => {
    const source = reader('ab', 'c}d', '}')
    expect(Buffer.from(await source.readUntil(0x7d, 4)).toString()).toBe('abc}')
    expect(Buffer.from(await source.readUntil(0x7d, 4)).toString()).toBe('d}')
    expect(await source.ended()).toBe(true)
  })

  it('refuses to look for a byte past the limit', async () => {
    const error = await rejected(reader('ab', 'c}').readUntil(0x7d, 3))
    expect(error).toMatchObject({ code: 'E_FORMAT', message: 'stream: no byte 125 within 3 bytes' })
  })

  it('says how far a stream that ends early came', async () => {
    const error = await rejected(reader('ab').readExactly(5))
    expect(error.message).toBe('stream: expected 5 bytes, ended after 2')
    expect(error).toMatchObject({ code: 'E_CUT', retryable: true })
    expect((await rejected(reader('ab').readUntil(0, 9))).code).toBe('E_CUT')
  })

  it('can be read on after a stop in the middle of the rest', async () => {
    const source = reader('ab', 'cd', 'ef')
    for await (const chunk of source.rest()) {
      expect(Buffer.from(chunk).toString()).toBe('ab')
      break
    }
    expect(await source.ended()).toBe(false)
    expect(await restOf(source)).toEqual(['cd', 'ef'])
    expect(await restOf(source)).toEqual([])
  })

  it('passes on the error of the stream', async () => {
    const source = new ChunkReader(
      // biome-ignore lint/correctness/useYield: it fails before its first chunk
      (async function* (): AsyncGenerator<Uint8Array> {
        throw new RangeError('broken')
      })(),
      'stream',
    )
    await expect(source.readExactly(1)).rejects.toThrow('broken')
  })

  it('gives the same bytes however they were cut', async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 10 }))
    await fc.assert(
      fc.asyncProperty(chunks, fc.array(fc.nat(8)), async (pieces, sizes) => {
        const all = Buffer.concat(pieces)
        const source = new ChunkReader(chunksOf(...pieces), 'stream')
        let offset = 0
        for (const size of sizes) {
          if (offset + size > all.length) break
          const part = await source.readExactly(size)
          expect(Buffer.from(part)).toEqual(all.subarray(offset, offset + size))
          offset += size
        }
        const rest: Uint8Array[] = []
        for await (const chunk of source.rest()) rest.push(chunk)
        expect(Buffer.concat(rest)).toEqual(all.subarray(offset))
      }),
    )
  })
})
