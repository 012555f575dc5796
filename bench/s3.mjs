// Backups into a bucket of a real radosgw, beside the local backup and plain uploads of the same files by the same client, and
// beside all the CPU of both and of the store, as if every processor had its share of it all the time. CPU of what goes into the
// bucket is that of the store too.
import { readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { lackOfRadosgw, startCeph } from './helpers.mjs'
import { clocked, ratioRow, row, without } from './measure.mjs'

const BUCKET = 'bench'
const UPLOADS = 4

export async function s3(context) {
  const { at, snap, data, say } = context
  const howToGet = await lackOfRadosgw()
  if (howToGet !== undefined) {
    say(`no radosgw, no rows for S3: ${howToGet}`)
    return []
  }
  const { env, cpu, collect } = await startCeph()
  const client = await clientOf(env)
  await client.createBucket({ Bucket: BUCKET })
  const words = ['backup', '--quiet', '--data-dir', join(data.folder, 'data')]
  const rows = []
  for (const [name, flags] of [
    ['gzip', []],
    ['stored blocks', ['--fingerprint', 'off', '--compression', 'none']],
  ]) {
    const local = at('s3-local')
    const costs = await context.alternate({
      local: async () => {
        await rm(local, { recursive: true, force: true })
        return await snap([...words, ...flags, local])
      },
      bucket: async () => {
        const storeCpu = cpu()
        const cost = await snap([...words, ...flags, `s3://${BUCKET}/set`], { env })
        const all = { ...cost, cpu: cost.cpu + cpu() - storeCpu }
        await emptyBucket(client)
        collect()
        return all
      },
      raw: async () => {
        const [before, storeCpu] = [process.cpuUsage(), cpu()]
        const cost = await clocked(() => upload(client, local))
        const { user, system } = process.cpuUsage(before)
        const all = { ...cost, cpu: (user + system) / 1e6 + cpu() - storeCpu }
        await emptyBucket(client)
        collect()
        return all
      },
    })
    await rm(local, { recursive: true })
    rows.push(...rowsOf(`backup to S3, ${name}`, costs, context))
  }
  return rows
}

/**
 * One row for each of the two; the slower one is what counts. Start-up is in the two runs of snap, and taken off both. Then what
 * nobody can be faster than who does what the local backup and the upload do, and how far from it we are.
 */
function rowsOf(work, { local, bucket: ours, raw }, { startUp }) {
  const directory = { against: 'the same to a directory', theirs: without(startUp, local) }
  const puts = { against: 'plain PUTs of its files', theirs: raw }
  const [slower, faster] =
    directory.theirs.seconds > raw.seconds ? [directory, puts] : [puts, directory]
  const cpu = local.cpu + raw.cpu
  const bound = { seconds: cpu / availableParallelism(), cpu }
  const figure = bound.seconds / slower.theirs.seconds
  return [
    ratioRow(work, { ...slower, ours, startUp, atMost: 1.15 }),
    ratioRow('  beside the faster of the two', { ...faster, ours, startUp }),
    row('  CPU of both, shared out evenly', { ...slower, ours: bound, figure }),
    ratioRow('  beside that', { against: 'CPU of both', theirs: bound, ours, startUp }),
  ]
}

/** The client of AWS for the bucket of a benchmark. */
export async function clientOf(env) {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
  const { S3 } = await import('@aws-sdk/client-s3')
  return new S3({
    ...{ endpoint: env.INFLUX_SNAP_S3_ENDPOINT, region: env.AWS_REGION, forcePathStyle: true },
    credentials: {
      accessKeyId: env.AWS_ACCESS_KEY_ID,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
    },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
}

/** Uploads every file of a folder. */
async function upload(client, folder) {
  const names = (await readdir(folder)).values()
  const work = async () => {
    for (const name of names) {
      const Body = await readFile(join(folder, name))
      await client.putObject({ Bucket: BUCKET, Key: `raw/${name}`, Body })
    }
  }
  await Promise.all(Array.from({ length: UPLOADS }, work))
}

export async function emptyBucket(client, bucket = BUCKET) {
  for (;;) {
    const { Contents = [] } = await client.listObjectsV2({ Bucket: bucket })
    if (Contents.length === 0) return
    for (const { Key } of Contents) await client.deleteObject({ Bucket: bucket, Key })
  }
}
