import { describe, expect, it } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { serveDirectory } from '../../operations/servers.ts'
import { expectCode, snap } from './snap.ts'
import { newTarget } from './targets.ts'

describe('snap backup --incremental', () => {
  it('tells what it shares and what it fetched', async () => {
    const [source, target] = [await makeDirectory(), await newTarget()]
    const words = ['backup', '--incremental', ...source.flags, target]
    const first = await snap(...words)
    expect(first.stdout).toMatch(
      /\n {2}nothing shared: no older set here has an archive to share\n$/,
    )
    const dry = await snap(...words, '--dry-run')
    expect(dry.stdout).toMatch(
      /^would back up 4 shards to \S+\n {2}4 shards unchanged: in the archives of older sets\n$/,
    )
    const second = await snap(...words)
    expect(second.stderr).toContain('unchanged')
    expect(second.stdout).toMatch(
      /\n {2}4 shards unchanged: in the archives of older sets; fetched 0 B of 11\.0 KiB\n$/,
    )
    const { document } = await expectCode(0, ...words)
    expect(document).toMatchObject({ fetchedBytes: 0, parent: expect.stringMatching(/^\d{8}T/) })
    for (const shard of document.shards) expect(shard.reused).toMatch(/\.tar\.gz$/)
    const { document: anew } = await expectCode(0, ...words, '--full-every', '0')
    expect(anew).toMatchObject({ fullBecause: 'as asked for (--full-every 0)' })
    expect(anew.fetchedBytes).toBe(anew.bytes)
  })

  it('asks a server for the states of its shards', async () => {
    const { host } = await serveDirectory(await makeDirectory())
    const target = await newTarget()
    const words = ['backup', '--incremental', '--host', host, '--db', 'two words', target]
    await expectCode(0, ...words)
    const { document } = await expectCode(0, ...words)
    expect(document).toMatchObject({ fetchedBytes: 0, completeness: 'confirmed' })
  })

  it.each([
    ['--incremental', '--since'],
    ['--incremental', '--start'],
    ['--resume', '--since'],
  ])('refuses %s with %s', async (option, other) => {
    const { error } = await expectCode(2, 'backup', option, other, '1h', await newTarget())
    expect(error?.message).toBe(`${option} cannot be used with ${other}`)
  })
})
