import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { expectCode } from '../cli/commands/snap.ts'
import { backedUp, isThere, newDirectory } from '../cli/commands/targets.ts'
import { pointsIn, pointsOnDisk } from '../helpers/data-directory.ts'

async function nameIn(set: string, end: string): Promise<string> {
  const name = (await readdir(set)).find((file) => file.endsWith(end))
  if (name === undefined) throw new Error(`no ${end} in ${set}`)
  return name
}

/** Turns a bit of the value block over that begins `after` bytes behind the first TSM file's start. */
async function damageTsm(path: string, after: number): Promise<void> {
  const bytes = await readFile(path)
  const at = bytes.indexOf(Buffer.from('16d116d101', 'hex')) + after
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

describe('snap restore --salvage', () => {
  it('restores a whole set as ever', async () => {
    const target = await newDirectory()
    const set = await backedUp()
    const { document } = await expectCode(0, 'restore', '--salvage', ...target.flags, set)
    expect(document.damaged).toEqual([])
    expect(await pointsOnDisk(target)).toEqual(pointsIn())
  })

  it('restores the rest of a shard with a damaged block, and names what is lost', async () => {
    const set = await backedUp('--compression', 'none')
    const archive = await nameIn(set, '.s1.tar.gz')
    await damageTsm(join(set, archive), 20)
    const target = await newDirectory()
    const refused = await expectCode(13, 'restore', ...target.flags, set)
    expect(refused.error?.hint).toContain('--salvage')
    expect(await isThere(target.root)).toBe(false)

    const { document, stderr } = await expectCode(3, 'restore', '--salvage', ...target.flags, set)
    expect(document.damaged).toMatchObject([
      {
        ...{ database: 'telegraf', retentionPolicy: 'autogen', shardId: '1', file: archive },
        ...{ part: '000000001-000000001.tsm', start: '1970-01-01T00:00:00.000000001Z' },
        end: '1970-01-01T00:00:00.000000003Z',
      },
    ])
    expect(stderr).toContain('damaged in 1 place')
    // The point of the second file and all that is not of the damaged block.
    const lost = ['telegraf/autogen cpu,host=a 1', 'telegraf/autogen cpu,host=a 3']
    expect(await pointsOnDisk(target)).toEqual(pointsIn().filter((line) => !lost.includes(line)))
  })

  it('does without archives that are missing, and without the points of one that is empty', async () => {
    const set = await backedUp()
    const missing = await nameIn(set, '.s2.tar.gz')
    await rm(join(set, missing))
    const cut = await nameIn(set, '.s3.tar.gz')
    await truncate(join(set, cut), 30)
    const target = await newDirectory()
    const { document } = await expectCode(3, 'restore', '--salvage', ...target.flags, set)
    const files = document.damaged.map(({ file }: { file: string }) => file)
    expect(new Set(files)).toEqual(new Set([missing, cut]))
    expect(document.shards.map(({ shardId }: { shardId: string }) => shardId).sort()).toEqual([
      '1',
      '10',
    ])
    const rest = pointsIn().filter(
      (line) => !line.startsWith('telegraf/short') && !/ 36000000000\d\d$/.test(line),
    )
    expect(await pointsOnDisk(target)).toEqual(rest)
  })

  it('says what it would restore', async () => {
    const set = await backedUp()
    await rm(join(set, await nameIn(set, '.s2.tar.gz')))
    const target = await newDirectory()
    const words = ['--salvage', '--dry-run', ...target.flags]
    const { document } = await expectCode(3, 'restore', ...words, set)
    expect(document.damaged).toMatchObject([{ shardId: '2', start: '1970-01-01T01:00:00Z' }])
    expect(await isThere(target.root)).toBe(false)
  })

  it('does without a catalog that is damaged', async () => {
    const set = await backedUp()
    await truncate(join(set, await nameIn(set, '.snap.json')), 100)
    const target = await newDirectory()
    await expectCode(13, 'restore', ...target.flags, set)
    const { document } = await expectCode(3, 'restore', '--salvage', ...target.flags, set)
    expect(document.kind).toBe('stock')
    expect(document.damaged).toMatchObject([
      { message: expect.stringContaining('its hashes could not be checked') },
    ])
    expect(await pointsOnDisk(target)).toEqual(pointsIn())
  })

  it.each(['.meta', '.manifest'])('refuses a set whose %s is damaged', async (end) => {
    const set = await backedUp()
    const target = await newDirectory()
    await truncate(join(set, await nameIn(set, end)), 20)
    const { error } = await expectCode(13, 'restore', '--salvage', ...target.flags, set)
    expect(error?.message).toContain(end)
    expect(await isThere(target.root)).toBe(false)
  })

  it('refuses a set of which nothing is left', async () => {
    const set = await backedUp('--db', 'two words')
    await truncate(join(set, await nameIn(set, '.s10.tar.gz')), 30)
    const target = await newDirectory()
    const { error } = await expectCode(13, 'restore', '--salvage', ...target.flags, set)
    expect(error?.message).toContain('nothing of it can be restored')
    expect(await isThere(target.root)).toBe(false)
  })
})
