import { fc } from '@fast-check/vitest'
import type { RandomAccess } from '../../src/io/random-access.ts'
import { concatBlocks } from '../../src/tsm/arrange.ts'
import { decodeBlock } from '../../src/tsm/block.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { type Block, stringAt } from '../../src/tsm/values.ts'
import type { Sample, WriteRow } from './encode.ts'

/** Turns a block into plain points that tests compare. */
export function toSamples(block: Block): Sample {
  const { times } = block
  const pairs = <Value>(value: (index: number) => Value) =>
    Array.from(times, (time, index) => [time, value(index)] as const)
  switch (block.type) {
    case 'float':
      return { type: block.type, points: pairs((index) => block.values[index] ?? 0) }
    case 'integer':
    case 'unsigned':
      return { type: block.type, points: pairs((index) => block.values[index] ?? 0n) }
    case 'boolean':
      return { type: block.type, points: pairs((index) => block.values[index] === 1) }
    case 'string': {
      const text = (index: number) => Buffer.from(stringAt(block.values, index)).toString()
      return { type: block.type, points: pairs(text) }
    }
  }
}

/** Few times, so that points meet. */
export const timeArbitrary = fc.oneof(
  { weight: 8, arbitrary: fc.bigInt(0n, 12n) },
  { weight: 1, arbitrary: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
  { weight: 1, arbitrary: fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, -1n) },
)

function points<Value>(value: fc.Arbitrary<Value>) {
  return fc.array(fc.tuple(timeArbitrary, value), { minLength: 1, maxLength: 8 })
}

const number = fc.double({ noNaN: true })
const text = fc.string({ unit: 'binary', maxLength: 12 })

/** Points of one type. */
export function sampleArbitrary(type: Sample['type']): fc.Arbitrary<Sample> {
  switch (type) {
    case 'float':
      return points(number).map((points) => ({ type, points }))
    case 'integer':
      return points(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)).map((points) => ({ type, points }))
    case 'unsigned':
      return points(fc.bigInt(0n, 2n ** 64n - 1n)).map((points) => ({ type, points }))
    case 'boolean':
      return points(fc.boolean()).map((points) => ({ type, points }))
    case 'string':
      return points(text).map((points) => ({ type, points }))
  }
}

export const TYPES = ['float', 'integer', 'unsigned', 'boolean', 'string'] as const

/** The rows of one write: every key once. */
export const rowsArbitrary: fc.Arbitrary<WriteRow[]> = fc.uniqueArray(
  fc
    .tuple(text, fc.constantFrom(...TYPES).chain(sampleArbitrary))
    .map(([key, sample]): WriteRow => ({ key, ...sample })),
  { selector: ({ key }) => key, maxLength: 6 },
)

/** Reads a TSM file: its keys in order, each with all its points. */
export async function readTsm(source: RandomAccess): Promise<[string, Sample][]> {
  const file = await openTsm(source)
  const keys: [string, Sample][] = []
  for await (const { key, entries, ...rest } of file.keys()) {
    const blocks: Block[] = []
    for (const entry of entries) {
      blocks.push(decodeBlock((await file.readBlock({ key, entries, ...rest }, entry)).slice()))
    }
    keys.push([Buffer.from(key).toString(), toSamples(concatBlocks(blocks))])
  }
  await file.close()
  return keys
}
