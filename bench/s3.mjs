// Compares a backup into a bucket with plain uploads of the same archives by the same client:
//
//   npm run build && node bench/s3.mjs DATA_DIR s3://bucket/prefix
//
// DATA_DIR is the data directory of an InfluxDB; keys and endpoint come from AWS_* variables. Prints seconds, MiB/s of stored
// bytes, and their ratio. Reading, compressing and checking are part of the backup, so the ratio shows what the bucket adds only
// where --fingerprint off --compression none leaves little else to do.
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { S3Store } from '../dist/storage/index.js'

const SNAP = join(dirname(fileURLToPath(import.meta.url)), '../bin/snap.js')
const [dataDir, place] = process.argv.slice(2)
if (dataDir === undefined || place === undefined) {
  throw new Error('usage: node bench/s3.mjs DATA_DIR s3://bucket/prefix')
}

/** Runs `snap` and returns the seconds it took. */
function backup(target, ...flags) {
  const words = ['backup', '--data-dir', dataDir, '--quiet', ...flags, target]
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, [SNAP, ...words], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`snap ${words.join(' ')}: ${stderr}`)
  return (performance.now() - start) / 1000
}

/** Uploads every file of a directory under its name, four at a time, and returns the seconds it took. */
async function upload(directory, names) {
  const { S3 } = await import('@aws-sdk/client-s3')
  const endpoint = process.env.AWS_ENDPOINT_URL ?? process.env.INFLUX_SNAP_S3_ENDPOINT
  const client = new S3({
    region: process.env.AWS_REGION ?? 'us-east-1',
    ...(endpoint && { endpoint, forcePathStyle: true }),
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  const { host, pathname } = new URL(place)
  const start = performance.now()
  const queue = [...names]
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const Body = await readFile(join(directory, name))
      await client.putObject({ Bucket: host, Key: `${pathname.slice(1)}-raw/${name}`, Body })
    }
  }
  await Promise.all([work(), work(), work(), work()])
  return (performance.now() - start) / 1000
}

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
const local = await mkdtemp(join(tmpdir(), 'snap-bench-'))
try {
  for (const flags of [[], ['--fingerprint', 'off', '--compression', 'none']]) {
    const name = flags.length === 0 ? 'default' : 'plain'
    const directory = join(local, name)
    const onDisk = backup(directory, ...flags)
    const inBucket = backup(`${place}-${name}`, ...flags)
    const names = await readdir(directory)
    let size = 0
    for (const file of names) size += (await readFile(join(directory, file))).length
    const raw = await upload(directory, names)
    const rate = (seconds) =>
      `${seconds.toFixed(2)} s, ${(size / seconds / 2 ** 20).toFixed(0)} MiB/s`
    console.log(`${name}: ${(size / 2 ** 20).toFixed(1)} MiB stored in ${names.length} files`)
    console.log(`  backup to a directory  ${rate(onDisk)}`)
    console.log(`  backup to the bucket   ${rate(inBucket)}`)
    console.log(`  plain uploads          ${rate(raw)}`)
    console.log(
      `  bucket / directory ${(inBucket / onDisk).toFixed(2)}, bucket / (directory + plain uploads) ${(inBucket / (onDisk + raw)).toFixed(2)}`,
    )
    const store = new S3Store(`${place}-raw`, { endpoint: process.env.INFLUX_SNAP_S3_ENDPOINT })
    for (const file of names) await store.delete(file)
  }
} finally {
  await rm(local, { recursive: true, force: true })
}
