import type { FileHandle } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { EarlySync } from '../../src/io/early-sync.ts'

const MIB = 2 ** 20

/** A file whose syncs end when they are told to. */
function slowFile() {
  const syncs: ((error?: Error) => void)[] = []
  const datasync = () =>
    new Promise<void>((resolve, reject) => {
      syncs.push((error) => (error ? reject(error) : resolve()))
    })
  return { syncs, handle: { datasync } as unknown as FileHandle }
}

it('has the disk begin every eight megabytes, with one sync at a time', async () => {
  const { syncs, handle } = slowFile()
  const early = new EarlySync(handle)
  for (const size of [1, 8, 9, 40]) early.wrote(size * MIB)
  expect(syncs).toHaveLength(1)
  syncs[0]?.()
  await early.settled()
  early.wrote(15 * MIB)
  expect(syncs).toHaveLength(1)
  early.wrote(16 * MIB)
  expect(syncs).toHaveLength(2)
  syncs[1]?.()
  await early.end()
})

it('keeps the error that the system says once', async () => {
  const { syncs, handle } = slowFile()
  const early = new EarlySync(handle)
  early.wrote(8 * MIB)
  syncs[0]?.(new Error('no space'))
  await early.settled()
  early.wrote(16 * MIB)
  syncs[1]?.()
  await expect(early.end()).rejects.toThrow('no space')
})
