import { readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/io/process-owner.ts'
import { removeLeftovers } from '../../src/operations/leftovers.ts'
import { listSets } from '../../src/portable/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'

const SET = '20240101T000000Z'
const MINUTE = 60_000

async function left(reservation: string | undefined, minutesAgo = 0): Promise<string[]> {
  const directory = await tempDir('leftovers')
  const files = [`${SET}.s1.tar.gz.pending`, 'notes.txt']
  if (reservation !== undefined) files.push(`${SET}.pending`)
  for (const name of files) {
    const path = join(directory, name)
    await writeFile(path, name === `${SET}.pending` ? (reservation ?? '') : '')
    const time = new Date(Date.now() - minutesAgo * MINUTE)
    await utimes(path, time, time)
  }
  const store = new LocalStore(directory)
  await removeLeftovers(store, await listSets(store))
  return (await readdir(directory)).filter((name) => name !== 'notes.txt')
}

const kept = [`${SET}.pending`, `${SET}.s1.tar.gz.pending`]

describe('removeLeftovers', () => {
  it('removes those of a process of this machine that is gone', async () => {
    const gone = { ...thisProcess(), startTime: '1' }
    expect(await left(JSON.stringify(gone))).toEqual([])
  })

  it('leaves those of a process that runs, however old', async () => {
    expect(await left(JSON.stringify(thisProcess()), 600)).toEqual(kept)
  })

  it('leaves what another run has begun to tidy up to it', async () => {
    const directory = await tempDir('leftovers')
    await writeFile(join(directory, `${SET}.pending`), '')
    await writeFile(join(directory, `${SET}.s1.tar.gz.pending`), '')
    const store = new LocalStore(directory)
    const listing = await listSets(store)
    await rm(join(directory, `${SET}.pending`))
    await removeLeftovers(store, listing)
    expect(await readdir(directory)).toEqual([`${SET}.s1.tar.gz.pending`])
  })

  it('removes what only told what a store can do, when it is old', async () => {
    const directory = await tempDir('leftovers')
    for (const minutes of [59, 61]) {
      const path = join(directory, `snap-probe-${minutes}.pending`)
      await writeFile(path, '')
      const time = new Date(Date.now() - minutes * MINUTE)
      await utimes(path, time, time)
    }
    const store = new LocalStore(directory)
    await removeLeftovers(store, await listSets(store))
    expect(await readdir(directory)).toEqual(['snap-probe-59.pending'])
  })

  it('asks the clock where the process cannot be asked', async () => {
    const elsewhere = JSON.stringify({ ...thisProcess(), host: 'elsewhere' })
    expect(await left(elsewhere, 59)).toEqual(kept)
    expect(await left('', 59)).toEqual(kept)
    expect(await left(`{"pid": ${' '.repeat(8192)}1}`, 61)).toEqual([])
    expect(await left(undefined, 61)).toEqual([])
  })
})
