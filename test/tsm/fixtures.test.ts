import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bytesAccess } from '../../src/io/random-access.ts'
import { decodeBlock, encodeBlock } from '../../src/tsm/block.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { TsmWriter } from '../../src/tsm/writer.ts'
import {
  answered,
  closeAll,
  collect,
  FIXTURES,
  fixtureFiles,
  normalized,
  openFixture,
  shown,
} from './fixtures.ts'

describe.each(FIXTURES)('the files of a real influxd: %s', (name) => {
  it('hold the values that it answers', async () => {
    const sources = await openFixture(name)
    const points = await collect(mergeTsm(sources))
    await closeAll(sources)
    const expected = await answered(name)
    // CSV cannot tell an empty string from none
    for (const [key, value] of points) {
      if (value === '') points.delete(key)
    }
    expect(points.size).toBe(expected.size)
    for (const [key, value] of points) {
      const text = normalized(value, expected.get(key) ?? 'nothing')
      expect(`${key} ${shown(value)}`).toBe(`${key} ${text}`)
    }
  })
})

const files = (await fixtureFiles()).map((path) => ({
  path,
  title: `${basename(dirname(path))}/${basename(path)}`,
}))

describe.each(files)('$title', ({ path, title }) => {
  it('has blocks that come out byte for byte when decoded and encoded', async () => {
    const file = await openTsm(bytesAccess(await readFile(path), title))
    for await (const { key, type, bytes } of file.blocks()) {
      const block = decodeBlock(bytes, title)
      const again = encodeBlock(block)
      const where = `${Buffer.from(key)}`
      // any snappy that decompresses to the same is right
      if (type === 'string') expect(decodeBlock(again), where).toEqual(block)
      else
        expect(Buffer.from(again).toString('hex'), where).toBe(Buffer.from(bytes).toString('hex'))
    }
  })

  it('comes out byte for byte when its blocks are written again', async () => {
    const original = await readFile(path)
    const file = await openTsm(bytesAccess(original, title))
    const chunks: Uint8Array[] = []
    const writer = new TsmWriter(async (chunk) => {
      chunks.push(chunk)
    })
    for await (const { key, entry, bytes } of file.blocks()) {
      await writer.writeBlock(key, entry, bytes)
    }
    const { size } = await writer.finish()
    expect(size).toBe(original.length)
    expect(Buffer.concat(chunks).equals(original)).toBe(true)
  })
})
