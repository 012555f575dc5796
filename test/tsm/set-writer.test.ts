import { expect, it } from 'vitest'
import { encodeBlock } from '../../src/tsm/block.ts'
import { MAX_INDEX_ENTRIES } from '../../src/tsm/format.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { TsmSetWriter } from '../../src/tsm/set-writer.ts'
import { rangeOf } from '../../src/tsm/values.ts'
import { blockOf } from './arbitraries.ts'
import { all, memorySink, openBytes } from './files.ts'
import { collect } from './fixtures.ts'

function memorySet(limit?: number) {
  const files = new Map<string, Buffer>()
  const writer = new TsmSetWriter({
    generation: 7,
    sequence: 3,
    ...(limit !== undefined && { limit }),
    async open(name) {
      const { sink, bytes } = memorySink()
      return {
        write: sink,
        async close() {
          files.set(name, bytes())
        },
      }
    },
  })
  return { files, writer }
}

it('begins the next sequence where a file is full', async () => {
  const { files, writer } = memorySet(200)
  for (let i = 0; i < 10; i++) {
    const times = Array.from({ length: 1500 }, (_, t) => BigInt(t * 10 + i))
    await writer.writeValues(Buffer.from(`k${i}`), blockOf('float', times, i))
  }
  const written = await writer.finish()
  expect(written.map(({ name }) => name)).toEqual([...files.keys()])
  expect(written[0]?.name).toBe('000000007-000000003.tsm')
  expect(written.at(-1)?.name).toBe(`000000007-${String(written.length + 2).padStart(9, '0')}.tsm`)
  expect(written.map(({ size }) => size)).toEqual([...files.values()].map(({ length }) => length))
  const sources = await Promise.all(
    [...files.values()].map(async (bytes) => ({ file: await openBytes(bytes) })),
  )
  expect((await collect(mergeTsm(sources))).size).toBe(15_000)
})

it('begins the next file at 65,535 blocks of a key', async () => {
  const { files, writer } = memorySet()
  const block = blockOf('boolean', [1n], 1)
  const bytes = encodeBlock(block)
  for (let i = 0; i <= MAX_INDEX_ENTRIES; i++)
    await writer.writeBlock(Buffer.from('k'), rangeOf(block), bytes)
  const written = await writer.finish()
  expect(written.map(({ blocks }) => blocks)).toEqual([MAX_INDEX_ENTRIES, 1])
  for (const file of files.values())
    expect((await all((await openBytes(file)).keys())).length).toBe(1)
})

it('opens nothing for no points', async () => {
  const { files, writer } = memorySet()
  expect(await writer.finish()).toEqual([])
  expect(files.size).toBe(0)
})
