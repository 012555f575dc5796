// Full backups over the wire: compressed, stored, and with fingerprints.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasIgzip, WITHOUT_IGZIP } from './context.mjs'
import { sizeOf } from './data.mjs'
import { ratioRow, row, timed, without } from './measure.mjs'
import { PLAIN_BACKUP } from './plain-backup.mjs'

export async function backup(context) {
  const { snap, stock, at, server, startUp } = context
  const { host, data } = await server()
  const shards = await readdir(join(data, 'd', 'autogen'))
  const sizes = {}
  /** Runs one backup into a folder of its own and leaves nothing but its size. */
  const into = (name, run) => async () => {
    const folder = at(name)
    const cost = await run(folder)
    sizes[name] = await sizeOf(folder)
    await rm(folder, { recursive: true })
    return cost
  }
  const from = ['backup', '--quiet', '--host', host]
  const plain = [...from, '--fingerprint', 'off']
  const env = WITHOUT_IGZIP
  const works = {
    stock: (folder) => stock(['backup', '-portable', '-host', host, folder]),
    legacy: (folder) => stock(['backup', '-database', 'd', '-host', host, folder]),
    gzip: (folder) => snap([...plain, folder], { env }),
    ...(hasIgzip() && { igzip: (folder) => snap([...plain, folder]) }),
    none: (folder) => snap([...plain, '--compression', 'none', folder]),
    bound: (folder) => timed(process.execPath, [PLAIN_BACKUP, host, folder, ...shards]),
    sums: (folder) => snap([...from, folder], { env }),
    ...(hasIgzip() && { igzipSums: (folder) => snap([...from, folder]) }),
  }
  const costs = await context.alternate(
    Object.fromEntries(Object.entries(works).map(([name, run]) => [name, into(name, run)])),
  )
  const { stock: theirs, legacy, gzip, igzip, none, bound, sums, igzipSums } = costs
  const portable = { against: 'influxd backup -portable', theirs, startUp }
  const size = (name) => ({ figure: sizes[name] / sizes.stock, atMost: 1.05 })
  const against = portable.against
  const rows = [
    ratioRow('backup, gzip', { ...portable, ours: gzip, atMost: 1 }),
    row('  size of the set', { against, ...size('gzip') }),
    ratioRow('backup, stored blocks', {
      ...{ against: 'influxd backup, legacy', ours: none, theirs: legacy, startUp, atMost: 2 },
    }),
    ratioRow('  received, hashed, written by a plain program', {
      ...{ against: 'influxd backup, legacy', ours: bound, theirs: legacy },
    }),
    withSums('fingerprints while backing up', { sums, plain: gzip, startUp }),
  ]
  if (igzip === undefined) return rows
  return [
    ratioRow('backup, gzip by igzip', { ...portable, ours: igzip, atMost: 0.65 }),
    row('  size of the set', { against, ...size('igzip') }),
    ...rows,
    withSums('fingerprints, with igzip', { sums: igzipSums, plain: igzip, startUp }),
  ]
}

/** Start-up is in both, so it is taken off both. */
function withSums(work, { sums, plain, startUp }) {
  const theirs = without(startUp, plain)
  return ratioRow(work, {
    ...{ against: 'the same without', ours: sums, theirs, startUp, atMost: 1.3 },
  })
}
