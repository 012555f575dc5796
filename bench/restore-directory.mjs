// Restores into the directories of a stopped server, checks and fsync included.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rateRow, ratioRow } from './measure.mjs'

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
  const { legacy, none, gzip } = await context.alternate({
    legacy: emptied((root) => {
      const words = ['restore', '-database', 'd', '-metadir', join(root, 'meta')]
      return stock([...words, '-datadir', join(root, 'data'), sets.legacy])
    }),
    none: ours(sets.none),
    gzip: ours(sets.gzip),
  })
  return [
    ratioRow('restore into a directory, stored blocks', {
      ...{ against: 'influxd restore, legacy', ours: none, theirs: legacy, startUp, atMost: 1.2 },
    }),
    rateRow('restore into a directory, gzip', {
      ...{ ours: gzip, amount: data.bytes / 1e6, unit: 'MB/s of TSM', startUp, atLeast: 250 },
    }),
  ]
}
