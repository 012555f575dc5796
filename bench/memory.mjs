// The most memory that each command takes which handles data: one run of each.
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chosenWorks, once } from './context.mjs'
import { lackOfRadosgw, startCeph } from './helpers.mjs'
import { row } from './measure.mjs'
import { clientOf, emptyBucket } from './s3.mjs'
import { startServe } from './serve.mjs'

/** 200 MB. */
const MOST_MIB = 190
const BUCKET = 'memory'

export async function memory(context) {
  const works = { ...backups(context), ...reads(context), ...restores(context) }
  const all = { ...works, ...exports(context), ...(await ofBuckets(context)) }
  return await memoryRows(context, all, (name) => name)
}

/** Returns a row for each of those works that are wanted, which are done once. */
export async function memoryRows(context, all, titleOf) {
  const rows = []
  for (const [name, work] of Object.entries(chosenWorks(all, context.works))) {
    const ours = await work()
    rows.push(
      row(`memory of ${titleOf(name)}`, {
        ours,
        figure: ours.memory,
        unit: 'MiB',
        atMost: MOST_MIB,
      }),
    )
    context.say(`${name}: ${ours.memory.toFixed(0)} MiB, ${ours.seconds.toFixed(1)} s`)
  }
  return rows
}

/** Runs something with a folder of its own, which is removed. */
function folderOf({ at }, name, run) {
  return async () => {
    const folder = at(`memory-${name}`)
    try {
      return await run(folder)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

function backups(context) {
  const { snap, server, setOf, data } = context
  const from = ['--quiet', '--data-dir', join(data.folder, 'data')]
  const over = async (...words) => {
    const { host, url } = await server()
    return await snap(['backup', '--quiet', '--host', host, '--http', url, ...words])
  }
  const into = (name, run) => folderOf(context, name, run)
  return {
    backup: into('backup', (to) => over(to)),
    'backup, stored blocks': into('stored', (to) => over('--compression', 'none', to)),
    'backup of a directory': into('local', (to) => snap(['backup', ...from, to])),
    'backup --incremental, all changed': into('changed', async (to) => {
      await snap(['backup', ...from, to])
      return await snap(['backup', '--incremental', '--full-every', '0', ...from, to])
    }),
    'backup --incremental, nothing changed': async () =>
      await snap(['backup', '--incremental', ...from, await setOf('gzip')]),
    'backup --twice': into('twice', (to) => over('--twice', to)),
    copy: into('copy', async (to) => snap(['copy', '--quiet', await setOf('gzip'), to])),
    prune: into('prune', async (to) => {
      await snap(['backup', ...from, to])
      await snap(['backup', '--full-every', '0', '--incremental', ...from, to])
      return await snap(['prune', '--quiet', '--keep-last', '1', to])
    }),
    serve: async () => {
      const served = await startServe(join(data.folder, 'data'))
      const client = folderOf(context, 'served', (to) =>
        snap(['backup', '--quiet', '--compression', 'none', '--host', served.host, to]),
      )
      try {
        return { ...(await client()), memory: served.memory() }
      } finally {
        await served.stop()
      }
    },
  }
}

function reads({ snap, setOf, data }) {
  const of =
    (...words) =>
    async () =>
      await snap([...words, await setOf('gzip')])
  const live = ['--data-dir', join(data.folder, 'data')]
  // Of a range no fingerprint tells.
  const always = ['--start', '2000-01-01T00:00:00Z']
  return {
    verify: of('verify', '--quiet', '--no-record'),
    'verify --deep': of('verify', '--quiet', '--no-record', '--deep'),
    list: of('list'),
    info: of('info'),
    check: of('check', '--quiet', ...live),
    report: of('report', '--quiet', '--output', '-'),
    diff: async () => {
      const sets = [await setOf('gzip'), await setOf('none')]
      return await snap(['diff', '--quiet', ...sets])
    },
    'diff with a directory': of('diff', '--quiet', ...live),
    'diff with a directory, all points': of('diff', '--quiet', ...always, ...live),
    drill: of('drill', '--quiet', '--no-record', '--influxd', 'none'),
  }
}

function restores(context) {
  const { snap, server, setOf, data } = context
  const into = (name, run) => folderOf(context, name, run)
  const to = (folder) => ['--quiet', '--data-dir', join(folder, 'data')]
  /** A directory with the later half of the points. */
  const makeHalf = async (folder) => {
    const half = new Date(((data.start + data.end) / 2) * 1000).toISOString()
    const from = ['--data-dir', join(data.folder, 'data'), '--start', half]
    await snap(['export', '--quiet', '--compression', 'none', ...from, join(folder, 'set')])
    await snap(['restore', ...to(folder), join(folder, 'set')])
  }
  return {
    restore: async () => {
      const { host, url } = await server()
      const words = ['--host', host, '--http', url, '--db', 'd', '--newdb', 'memory']
      return await snap(['restore', '--quiet', ...words, await setOf('gzip')])
    },
    'restore --data-dir': into('restored', async (folder) =>
      snap(['restore', ...to(folder), await setOf('gzip')]),
    ),
    'restore --data-dir, stored blocks': into('restored', async (folder) =>
      snap(['restore', ...to(folder), await setOf('none')]),
    ),
    'restore --merge, nothing new': into('same', async (folder) => {
      await cp(data.folder, folder, { recursive: true })
      return await snap(['restore', '--merge', ...to(folder), await setOf('gzip')])
    }),
    'restore --merge, half of it new': into('half', async (folder) => {
      await makeHalf(folder)
      return await snap(['restore', '--merge', ...to(folder), await setOf('gzip')])
    }),
  }
}

function exports(context) {
  const { snap, data } = context
  const from = ['export', '--quiet', '--data-dir', join(data.folder, 'data')]
  const into = (name, words) => folderOf(context, name, (to) => snap([...from, ...words, to]))
  return {
    'export into a set': into('export', []),
    'export of one measurement': into('cpu', ['--measurement', 'cpu']),
    'export --format lp': () => snap([...from, '--format', 'lp', '-']),
    'export --format lp, gzip': into('lp.gz', ['--format', 'lp']),
    'export --format csv': into('csv', ['--format', 'csv']),
    'export --format parquet': into('parquet', ['--format', 'parquet']),
  }
}

/** Works with a bucket of a radosgw, which is started for the first of them. */
async function ofBuckets(context) {
  const { snap, data, say } = context
  const lack = await lackOfRadosgw()
  if (lack !== undefined) {
    say(`no radosgw, no rows for S3: ${lack}`)
    return {}
  }
  const filled = once(async () => {
    const { env, collect } = await startCeph()
    const client = await clientOf(env)
    await client.createBucket({ Bucket: BUCKET })
    return { env, client, collect }
  })
  const place = `s3://${BUCKET}/set`
  const from = ['backup', '--quiet', '--data-dir', join(data.folder, 'data')]
  const inBucket = async (words, how) => {
    const { env, client, collect } = await filled()
    await snap([...from, place], { env })
    try {
      return await snap([...words, ...how, place], { env })
    } finally {
      await emptyBucket(client, BUCKET)
      collect()
    }
  }
  return {
    'backup to S3': () => inBucket(from, ['--full-every', '0', '--incremental']),
    'backup to S3, stored blocks': () => inBucket(from, ['--compression', 'none']),
    'verify of S3': () => inBucket(['verify', '--quiet', '--no-record'], []),
    'verify --deep of S3': () => inBucket(['verify', '--quiet', '--no-record', '--deep'], []),
    'restore from S3': folderOf(context, 's3', (folder) =>
      inBucket(['restore', '--quiet'], ['--data-dir', join(folder, 'data')]),
    ),
  }
}
