import { createHash } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/io/process-owner.ts'
import {
  ExportRecord,
  removeExportLeftovers,
  removeReservation,
} from '../../src/operations/export-record.ts'
import { LocalStore } from '../../src/storage/index.ts'
import { tempDir } from '../helpers/temp.ts'

const GONE = { ...thisProcess(), startTime: '1' }
const RECORD = 'snap-export-00000000-0000-0000-0000-000000000000.pending'

let directory: string
let store: LocalStore

beforeEach(async () => {
  directory = await tempDir('exports')
  store = new LocalStore(directory)
})

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
}

async function cleaned(): Promise<string[]> {
  await removeExportLeftovers(store)
  return (await readdir(directory)).sort()
}

const record = (...files: readonly { name: string; size?: number; sha256?: string }[]) =>
  JSON.stringify({ owner: GONE, files })

/** A file as it is recorded before it gets its name. */
const whole = (name: string, text: string) => {
  return { name, size: text.length, sha256: createHash('sha256').update(text).digest('hex') }
}

describe('removeExportLeftovers', () => {
  it('removes what was written and what had its name, and nothing else', async () => {
    const files = [whole('a', 'aa'), whole('b', 'bb'), whole('c', 'cc')]
    await put({ [RECORD]: record(...files), a: 'aa', b: 'of somebody else', 'c.pending': 'cc' })
    await put({ 'd.pending': 'dd', 'snap-export-x.pending': 'x', 'snap-notes': '' })
    expect(await cleaned()).toEqual(['b', 'd.pending', 'snap-export-x.pending', 'snap-notes'])
  })

  it('leaves a file of somebody else, of the same size too', async () => {
    await put({ [RECORD]: record(whole('a', 'aa'), whole('b', 'bb')), a: 'aa', b: 'xx' })
    expect(await cleaned()).toEqual(['b'])
    await put({ [RECORD]: record({ name: 'b', size: 2 }, whole('c', 'cc')) })
    expect(await cleaned()).toEqual(['b'])
  })

  it('leaves files with names that were not to be had yet', async () => {
    await put({ [RECORD]: record({ name: 'a' }), a: 'aa', 'a.pending': 'a' })
    expect(await cleaned()).toEqual(['a'])
  })

  it('leaves an export of which all files have their names', async () => {
    await put({ [RECORD]: record(whole('a', 'aa')), a: 'aa', 'a.pending': 'aa' })
    expect(await cleaned()).toEqual(['a'])
  })

  it('leaves those that go on, and records that cannot be read', async () => {
    const own = await ExportRecord.create(store, ['a'])
    await own.seal([whole('a', 'aa')])
    await put({ [RECORD]: '{"owner":', 'a.pending': 'aa' })
    expect(await cleaned()).toHaveLength(3)
    await own.remove()
    expect(await cleaned()).toEqual(['a.pending', RECORD])
  })
})

describe('removeReservation', () => {
  it('removes that of a process that is gone', async () => {
    await put({ 'a.pending': JSON.stringify(GONE), 'b.pending': JSON.stringify(thisProcess()) })
    await put({ 'c.pending': 'points' })
    const removed = ['a', 'b', 'c', 'd'].map((name) => removeReservation(store, name))
    expect(await Promise.all(removed)).toEqual([true, false, false, false])
    expect((await readdir(directory)).sort()).toEqual(['b.pending', 'c.pending'])
  })
})
