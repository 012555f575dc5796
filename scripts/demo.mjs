// Shows what snap does, on a sample data directory in a temporary folder: serve, back up, verify, restore, compare, and
// find a damaged byte. No influxd is needed. Ends with 0 only if all of it went as it should.
//
//   npm run demo
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { cp, mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { listShards } from '../dist/meta/index.js'
import { openServer } from '../dist/operations/server.js'
import { ShardSums } from '../dist/operations/shard-sums.js'
import { spoolShard } from '../dist/operations/spool-shard.js'
import { readShardTar } from '../dist/tar/index.js'
import { formatFingerprint } from '../dist/tsm/fingerprint.js'
import { checkHere } from '../dist/tsm/sum-files.js'
import { makeSampleData } from './demo-data.mjs'

const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), '../bin/snap.js')
const START_MS = 20_000
const EXIT_INTEGRITY = 13

const colored = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
const bold = (text) => (colored ? `\x1b[1m${text}\x1b[22m` : text)
const children = new Set()

const folder = await mkdtemp(join(tmpdir(), 'influx-snap-demo-'))
// The commands get Ctrl-C from the terminal as well; what has to be cleaned up is cleaned up below.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal)
  })
}
try {
  await demo()
} catch (error) {
  console.error(`\nThe demo failed: ${error.message}`)
  process.exitCode = 1
} finally {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
}

async function demo() {
  console.log(`snap, shown in ${folder} (removed at the end)`)
  title('A sample of an InfluxDB: two databases, a deleted hour, points that are only in the WAL')
  await makeSampleData(join(folder, 'influx'))
  await showFiles('influx')

  title('Serve it as influxd does; nothing in it is touched')
  const { host, stop } = await serve('influx/data')
  title('Back it up over the network')
  await snap(['backup', '--host', host, 'backups'])
  await stop()
  title('Prove that the backup is whole')
  await snap(['verify', '--deep', 'backups'])
  title('Restore it into a directory of its own')
  await snap(['restore', '--data-dir', 'restored/data', '--influxd-is-stopped', 'backups'])

  title('Compare the two directories: points, and a fingerprint of every time and value')
  const { shards, points } = await compare('influx/data', 'restored/data')
  title('Flip one bit in a copy of the backup, and verify that')
  const archive = await damage('backups', 'damaged')
  await snap(['verify', 'damaged'], EXIT_INTEGRITY)

  title('All of it went as it should')
  console.log(
    `  ${points.toLocaleString('en-US')} points in ${shards} shards were served, backed up, verified and restored:`,
  )
  console.log(
    '  the same in both directories, what the WAL held included, the deleted hour still deleted.',
  )
  console.log(`  One wrong bit in ${archive} was found (exit code 13).`)
  console.log('\nNext: docs/getting-started.md')
}

function title(text) {
  console.log(`\n${bold(`# ${text}`)}`)
}

function shown(args) {
  return `$ ${['snap', ...args].join(' ')}`
}

/** Runs a command in the folder and lets it speak for itself. */
async function snap(args, expected = 0) {
  console.log(shown(args))
  const code = await start(args, 1).ended
  if (code !== expected) throw new Error(`exit code ${code}, expected ${expected}`)
  if (expected !== 0) console.log(`$ echo $?\n${code}`)
}

/** Starts a command whose output goes to a descriptor of this process. */
function start(args, output) {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd: folder,
    stdio: ['ignore', output, output],
    env: withoutSettings(),
  })
  children.add(child)
  const ended = once(child, 'exit').then(([code, signal]) => {
    children.delete(child)
    return code ?? signal
  })
  return { child, ended }
}

/** The demo is to show the same to everybody. */
function withoutSettings() {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(INFLUX_SNAP_|INFLUXDB_)/.test(name),
  )
  return Object.fromEntries(own)
}

/** Serves a data directory on a free port and waits until it says so. */
async function serve(dataDir) {
  const args = ['serve', '--data-dir', dataDir, '--bind', '127.0.0.1:0']
  console.log(`${shown(args)} 2> serve.log &`)
  const path = join(folder, 'serve.log')
  const log = openSync(path, 'w')
  const { child, ended } = start(args, log)
  closeSync(log)
  const deadline = Date.now() + START_MS
  for (;;) {
    const [line] = (await readFile(path, 'utf8')).split('\n')
    const [, host] = / on (127\.0\.0\.1:\d+)/.exec(line) ?? []
    if (host !== undefined) {
      console.log(`$ head -1 serve.log\n${line}`)
      return { host, stop: () => terminate(child, ended) }
    }
    if (!children.has(child) || Date.now() > deadline) {
      throw new Error(`snap serve did not start: ${await readFile(path, 'utf8')}`)
    }
    await sleep(20)
  }
}

async function terminate(child, ended) {
  child.kill('SIGTERM')
  const code = await ended
  if (code !== 0) throw new Error(`snap serve ended with ${code}, expected 0`)
}

async function showFiles(dir) {
  const names = await readdir(join(folder, dir), { recursive: true })
  for (const name of names.sort()) {
    const found = await stat(join(folder, dir, name))
    if (found.isFile()) console.log(`${String(found.size).padStart(9)}  ${dir}/${name}`)
  }
}

/** Prints the points and the fingerprint of each shard in both directories, which must agree. */
async function compare(before, after) {
  const [old, restored] = [await contents(before), await contents(after)]
  let points = 0
  console.log('  shard                           points  fingerprint')
  for (const [name, held] of old) {
    const other = restored.get(name)
    const same = other?.fingerprint === held.fingerprint && other.points === held.points
    points += held.points
    const count = held.points.toLocaleString('en-US').padStart(8)
    const short = held.fingerprint.slice(0, 12)
    console.log(`  ${name.padEnd(28)}  ${count}  ${short}  ${same ? 'same' : 'DIFFERENT'}`)
    if (!same) throw new Error(`${name} is not the same in ${before} and ${after}`)
  }
  if (restored.size !== old.size) throw new Error(`${after} has ${restored.size} shards`)
  return { shards: old.size, points }
}

/** Reads every shard of a data directory, WAL and tombstones included; by names and start, since a restore gives new ids. */
async function contents(dataDir) {
  const directory = { dataDir: join(folder, dataDir), env: {} }
  const { client, close } = await openServer({ directory, mode: 'read-only' })
  const found = new Map()
  try {
    for (const listed of listShards(await client.metastoreBackup())) {
      const { database, retentionPolicy, group, shard } = listed
      const day = new Date(Number(group.startTime / 1_000_000n)).toISOString().slice(0, 10)
      const tar = client.shardBackup({ database, retentionPolicy, shardId: shard.id })
      const spooled = await spoolShard(readShardTar(tar), folder)
      found.set(`${database}/${retentionPolicy} ${day}`, await sumUp(spooled.files))
      await spooled.close()
    }
  } finally {
    await close()
  }
  return found
}

/** Counts the points of a shard as influxd would return them, and sums them up in a fingerprint. */
async function sumUp(files) {
  const sums = new ShardSums()
  for (const [name, access] of files) {
    if (name.endsWith('.tsm')) sums.add(name, await checkHere(access, { points: true }))
    else sums.addTombstone(name)
  }
  const { all } = await sums.finish(() => files)
  return { points: all.points, fingerprint: formatFingerprint(all.fingerprint) }
}

/** Copies a set and flips one bit in the middle of its largest archive. */
async function damage(from, to) {
  await cp(join(folder, from), join(folder, to), { recursive: true })
  let largest = { name: '', size: 0 }
  for (const name of await readdir(join(folder, to))) {
    const { size } = await stat(join(folder, to, name))
    if (size > largest.size) largest = { name, size }
  }
  const file = await open(join(folder, to, largest.name), 'r+')
  const at = Math.floor(largest.size / 2)
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at)
  await file.close()
  return largest.name
}
