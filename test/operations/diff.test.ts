import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DiffTally } from '../../src/operations/diff-tally.ts'
import { snap, snapJson } from '../helpers/cli.ts'
import { type DirectorySpec, HOUR, makeDirectory, SAMPLE } from '../helpers/data-directory.ts'
import { startServe } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

async function setOf(spec: DirectorySpec, ...words: string[]): Promise<string> {
  const { flags } = await makeDirectory(spec)
  const target = await tempDir('target')
  await snapJson(['backup', ...flags, ...words, target])
  return target
}

async function diff(code: number, ...words: string[]) {
  const { stdout, stderr, ...ended } = await snap(['diff', '--json', ...words])
  expect([ended.code, stderr]).toEqual([code, expect.anything()])
  return JSON.parse(stdout)
}

describe('snap diff', () => {
  it('needs to read nothing of two sets of the same data', async () => {
    const found = await diff(0, await setOf(SAMPLE), await setOf(SAMPLE))
    expect(found).toMatchObject({ different: false, shardsCompared: 0, shardsKnown: 4, equal: 11 })
  })

  it('compares a set with what it was asked to take, and no more', async () => {
    const { flags } = await makeDirectory()
    for (const words of [
      ['--db', 'two words'],
      ['--rp', 'short'],
      ['--shard', '1'],
      ['--end', '1970-01-01T00:30:00Z'],
    ]) {
      const found = await diff(0, await setOf(SAMPLE, ...words), ...flags)
      expect([words, found.different, found.equal > 0]).toEqual([words, false, true])
    }
  })

  it('calls all of a database removed that the other side does not have', async () => {
    const { 'two words': _, ...others } = SAMPLE
    const { flags } = await makeDirectory(others)
    const found = await diff(20, await setOf(SAMPLE), '--db', 'two words', ...flags)
    expect(found.measurements).toEqual([
      expect.objectContaining({ measurement: 'm', removed: 2, seriesRemoved: 1, equal: 0 }),
    ])
  })

  it('ends with 16 if neither side has what is asked for', async () => {
    const { flags } = await makeDirectory()
    const found = await diff(16, await setOf(SAMPLE), '--db', 'none', ...flags)
    expect(found.error.message).toContain('none')
  })

  it('tells by fingerprints alone that a directory has what a set has', async () => {
    const { flags } = await makeDirectory()
    const found = await diff(0, await setOf(SAMPLE), ...flags)
    expect(found).toMatchObject({ different: false, shardsCompared: 0, shardsKnown: 4, equal: 11 })
  })

  it('says what is damaged in a directory', async () => {
    const { root, flags } = await makeDirectory()
    const set = await setOf(SAMPLE)
    const path = join(root, 'data/telegraf/short/3/000000001-000000001.tsm')
    const bytes = await readFile(path)
    bytes[5] = ~(bytes[5] ?? 0)
    await writeFile(path, bytes)
    const { error } = await diff(14, set, ...flags)
    expect(error.message).toMatch(/000000001-000000001.tsm: block at offset 5 .*wrong CRC/)
  })

  const shard = (id: number, hour: number, ...series: string[]) => ({
    ...{ id, hour },
    files: [Object.fromEntries(series.map((name) => [name, [hour * HOUR]]))],
  })
  const before = { d: { p: { shards: [shard(1, 0, 'm,h=a', 'm,h=b'), shard(2, 1, 'm,h=a')] } } }
  const after = {
    d: { p: { shards: [shard(1, 0, 'm,h=a', 'm,h=b'), shard(2, 1, 'm,h=b', 'm,h=c')] } },
  }
  it.each([
    ['two sets', async () => diff(20, await setOf(before), await setOf(after))],
    [
      'a set and a directory',
      async () => diff(20, await setOf(before), ...(await makeDirectory(after)).flags),
    ],
    [
      'a server and a set',
      async () => {
        const served = await startServe((await makeDirectory(before)).flags)
        try {
          return await diff(20, served.host, await setOf(after))
        } finally {
          await served.stop()
        }
      },
    ],
  ])('counts a series that is in an equal shard as of both sides: %s', async (_, find) => {
    const found = await find()
    expect(found).toMatchObject({ shardsCompared: 1, shardsKnown: 1 })
    expect(found.measurements).toEqual([
      {
        ...{ database: 'd', retentionPolicy: 'p', measurement: 'm', equal: 2 },
        ...{ added: 2, removed: 1, changed: 0, seriesAdded: 1, seriesRemoved: 0 },
      },
    ])
  })

  it.each([
    [[], []],
    [
      ['a', 'b'],
      ['--host', 'h:1'],
    ],
    [['a@never', 'b'], []],
  ])('refuses %j %j', async (places, words) => {
    const { error } = await diff(2, ...words, ...places)
    expect(error.exitCode).toBe(2)
  })

  it('takes a path that looks like something else for a path', async () => {
    const source = await setOf(SAMPLE)
    const { rename } = await import('node:fs/promises')
    const odd = `${source}@latest`
    await rename(source, odd)
    expect(await diff(0, odd, `${odd}@latest`)).toMatchObject({ different: false })
  })
})

describe('the tally of a comparison', () => {
  const policy = { database: 'd', retentionPolicy: 'p' }
  const key = (name: string) => Buffer.from(`${name}#!~#f`)
  const none = { type: 'float', got: 0, missing: 0, extra: 0, different: 0 } as const

  it('says that it cannot tell series when there are too many', () => {
    const tally = new DiffTally({ maxSeries: 2 })
    for (const name of ['a', 'b', 'c']) {
      tally.add(policy, { ...none, key: key(name), expected: 3, missing: 3 })
    }
    expect(tally.measurements()).toHaveLength(3)
    for (const row of tally.measurements()) {
      expect(row).toMatchObject({ removed: 3, seriesAdded: null, seriesRemoved: null })
    }
    expect(tally.hasOneSided(policy)).toBe(false)
  })

  it('passes over keys without points', () => {
    const tally = new DiffTally()
    tally.add(policy, { ...none, key: key('a'), expected: 0 })
    expect(tally.measurements()).toEqual([])
  })
})
