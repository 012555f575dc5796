import { appendFile, link, mkdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readShardState, stateOf } from '../../src/datadir/shard-state.ts'
import { openSnapshot } from '../../src/datadir/snapshot.ts'
import { tempDir } from '../helpers/temp.ts'

const TSM = '000000001-000000001.tsm'
const TOMBSTONE = '000000001-000000001.tombstone'

async function shard() {
  const root = await tempDir('state')
  const dirs = { dataPath: join(root, 'data'), walPath: join(root, 'wal') }
  for (const path of Object.values(dirs)) await mkdir(path)
  await writeFile(join(dirs.dataPath, TSM), 'points')
  await writeFile(join(dirs.walPath, '_00001.wal'), 'more')
  return dirs
}

describe('the state of a shard', () => {
  it('is that of a snapshot taken of it', async () => {
    const dirs = await shard()
    await writeFile(join(dirs.dataPath, TOMBSTONE), 'deletes')
    const snapshot = await openSnapshot(dirs, new AbortController().signal)
    expect(await readShardState(dirs)).toEqual(stateOf(snapshot))
    await snapshot.close()
  })

  it.each<[string, (dirs: Awaited<ReturnType<typeof shard>>) => Promise<unknown>]>([
    ['a write', ({ walPath }) => appendFile(join(walPath, '_00001.wal'), 'x')],
    ['a flush', ({ walPath }) => rm(join(walPath, '_00001.wal'))],
    ['a delete', ({ dataPath }) => writeFile(join(dataPath, TOMBSTONE), 'x')],
    ['a further file', ({ dataPath }) => writeFile(join(dataPath, '000000002-000000001.tsm'), '')],
  ])('is another after %s', async (_, change) => {
    const dirs = await shard()
    const before = await readShardState(dirs)
    await change(dirs)
    const after = await readShardState(dirs)
    expect(after.state).not.toBe(before.state)
    expect(after.shape).not.toBe(before.shape)
  })

  it('has the same shape where files were only touched or linked, also with a time put back', async () => {
    const dirs = await shard()
    const path = join(dirs.dataPath, TSM)
    await utimes(path, 1, 1)
    const before = await readShardState(dirs)
    await writeFile(path, 'pointS')
    await utimes(path, 1, 1)
    const rewritten = await readShardState(dirs)
    await link(path, join(dirs.walPath, 'link'))
    const linked = await readShardState(dirs)
    expect(new Set([before, rewritten, linked].map(({ state }) => state)).size).toBe(3)
    expect(new Set([before, rewritten, linked].map(({ shape }) => shape)).size).toBe(1)
  })

  it('passes over what is not of the shard, and segments with nothing in them', async () => {
    const dirs = await shard()
    const before = await readShardState(dirs)
    await writeFile(join(dirs.walPath, '_00002.wal'), '')
    await writeFile(join(dirs.dataPath, 'fields.idx'), 'x')
    await writeFile(join(dirs.dataPath, '000000009-000000001.tombstone'), 'of nothing')
    expect(await readShardState(dirs)).toEqual(before)
  })
})
