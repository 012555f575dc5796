import { readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/io/process-owner.ts'
import { removeLeftovers } from '../../src/operations/leftovers.ts'
import { listSets } from '../../src/portable/index.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { entry, snapFiles, writeFiles } from '../portable/samples.ts'

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

  describe('of a set whose files have their names', () => {
    const [WHOLE, DEAD] = ['20240101T000000Z', '20240102T000000Z']

    /** A whole set, and one whose run is gone that shares an archive with it. */
    async function twoSets() {
      const directory = await tempDir('leftovers')
      const shared = entry(WHOLE, 1n)
      await writeFiles(directory, snapFiles(WHOLE, { entries: [shared] }))
      const files = snapFiles(DEAD, { entries: [shared, entry(DEAD, 2n)] })
      await writeFiles(directory, files)
      await rm(join(directory, `${DEAD}.manifest`))
      const owner = { ...thisProcess(), startTime: '1' }
      await writeFile(join(directory, `${DEAD}.pending`), JSON.stringify(owner))
      const store = new LocalStore(directory)
      const before = await readdir(directory)
      return {
        directory,
        before,
        remove: async () => removeLeftovers(store, await listSets(store)),
      }
    }

    it('leaves what a whole set shares with it', async () => {
      const { directory, before, remove } = await twoSets()
      await remove()
      const left = before.filter((name) => name.startsWith(WHOLE))
      expect((await readdir(directory)).sort()).toEqual(left.sort())
    })

    it('leaves the set, and nothing unfinished beside it, where the run died before it had removed that', async () => {
      const { directory, before, remove } = await twoSets()
      const files = before.filter((name) => name.startsWith(WHOLE))
      for (const name of files) await writeFile(join(directory, `${name}.pending`), 'x')
      const owner = { ...thisProcess(), startTime: '1' }
      await writeFile(join(directory, `${WHOLE}.pending`), JSON.stringify(owner))
      await remove()
      expect((await readdir(directory)).sort()).toEqual(files.sort())
    })

    it('leaves all that has its name where a set cannot be read', async () => {
      const { directory, before, remove } = await twoSets()
      await writeFile(join(directory, `${WHOLE}.manifest`), '{')
      await writeFile(join(directory, `${DEAD}.s3.tar.gz.pending`), '')
      await remove()
      expect((await readdir(directory)).sort()).toEqual(before.sort())
    })
  })

  it('gives up uploads of sets that nobody writes, and no others', async () => {
    const directory = await tempDir('leftovers')
    const [dead, alive, unknown] = ['20240102T000000Z', '20240103T000000Z', '20240104T000000Z']
    const gone = { ...thisProcess(), startTime: '1' }
    await writeFile(join(directory, `${dead}.pending`), JSON.stringify(gone))
    await writeFile(join(directory, `${alive}.pending`), JSON.stringify(thisProcess()))
    const aborted: string[] = []
    const upload = (name: string, minutes: number) => ({
      name,
      started: new Date(Date.now() - minutes * MINUTE),
      abort: async () => void aborted.push(name),
    })
    const store = Object.assign(new LocalStore(directory), {
      async *uploads() {
        yield upload(`${dead}.s1.tar.gz.pending`, 1)
        yield upload(`${alive}.s1.tar.gz.pending`, 600)
        yield upload(`${unknown}.s1.tar.gz.pending`, 59)
        yield upload(`${unknown}.s2.tar.gz.pending`, 61)
        yield upload('notes.txt', 600)
      },
    })
    await removeLeftovers(store, await listSets(store))
    expect(aborted).toEqual([`${dead}.s1.tar.gz.pending`, `${unknown}.s2.tar.gz.pending`])
  })
})
