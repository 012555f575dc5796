// Restores into the directories of a stopped server, checks and fsync included, beside what of it cannot be left out.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rateRow, ratioRow } from './measure.mjs'
import { plainRestore } from './plain-restore.mjs'

export async function restoreDirectory(context) {
  const { snap, stock, at, setOf, legacySet, data, startUp } = context
  const sets = { none: await setOf('none'), gzip: await setOf('gzip'), legacy: await legacySet() }
  const emptied = (run) => async () => {
    const root = at('restored')
    for (const name of ['data', 'wal', 'meta']) await mkdir(join(root, name), { recursive: true })
    const cost = await run(root)
    await rm(root, { recursive: true })
    return cost
  }
  const ours = (set) =>
    emptied((root) => snap(['restore', '--quiet', '--data-dir', join(root, 'data'), set]))
  const plain = (how) => emptied((root) => plainRestore(sets.none, join(root, 'data'), how))
  const { legacy, none, gzip, once, again } = await context.alternate({
    legacy: emptied((root) => {
      const words = ['restore', '-database', 'd', '-metadir', join(root, 'meta')]
      return stock([...words, '-datadir', join(root, 'data'), sets.legacy])
    }),
    none: ours(sets.none),
    gzip: ours(sets.gzip),
    once: plain({ readBack: false }),
    again: plain({ readBack: true }),
  })
  return [
    ratioRow('restore into a directory, stored blocks', {
      ...{ against: 'influxd restore, legacy', ours: none, theirs: legacy, startUp, atMost: 1.2 },
    }),
    ratioRow('the same', {
      ...{ against: 'its archives read, hashed, written and synced', ours: none, theirs: once },
      startUp,
    }),
    ratioRow('the same', {
      ...{ against: 'the same and read back', ours: none, theirs: again, startUp },
    }),
    rateRow('restore into a directory, gzip', {
      ...{ ours: gzip, amount: data.bytes / 1e6, unit: 'MB/s of TSM', startUp, atLeast: 250 },
    }),
  ]
}
