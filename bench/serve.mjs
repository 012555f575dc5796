// How fast a shard is answered: snap serve, influxd and a server that only calls sendfile, in turns after an unmeasured
// one of each, one and four fetches at a time, to a client that receives into one buffer and does nothing with it. Client and sendfile are in Python.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { appendFile, copyFile, cp, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { guardProcess } from './helpers.mjs'
import { startInfluxd } from './influxd.mjs'
import { ratioRow } from './measure.mjs'
import { openingOf } from './opening.mjs'

/** Shards that are fetched at once, and how many times over each holds its file. */
const SHARDS = 4
const COPIES = 35

const run = promisify(execFile)
const SNAP = new URL('../bin/snap.js', import.meta.url).pathname

/** Receives what one or more connections answer to the same kind of request, each into one buffer, and says how long that took. */
const RECEIVER = `
import socket, sys, threading, time
host, port = sys.argv[1].rsplit(':', 1)
def fetch(opening):
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(bytes.fromhex(opening))
        buffer, size = bytearray(1 << 20), 0
        while True:
            got = peer.recv_into(buffer)
            if got == 0: break
            size += got
        if size < 1 << 20: sys.exit(f'{host}:{port} answered {size} bytes')
threads = [threading.Thread(target=fetch, args=(opening,)) for opening in sys.argv[2:]]
begun = time.perf_counter()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(time.perf_counter() - begun)
`

/** Answers each connection with one file, which the number of the shard in the request names. */
const SENDER = `
import json, os, socket, sys, threading
folder = sys.argv[1]
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
def answer(peer):
    with peer:
        shard = json.loads(peer.recv(65536)[2:])['ShardID']
        with open(os.path.join(folder, f'{shard}.tar'), 'rb') as file:
            peer.sendfile(file)
while True:
    peer, _ = listener.accept()
    threading.Thread(target=answer, args=(peer,)).start()
`

/** Starts a program that says on which port it listens. */
async function startServer(command, args, port) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const found = new Promise((resolve, reject) => {
    const look = (chunk) => {
      said += chunk
      const match = port.exec(said)
      if (match) resolve(Number(match[1]))
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.on('close', () => reject(new Error(`${command} ended: ${said}`)))
  })
  const release = guardProcess(child.pid)
  const stop = async () => {
    release()
    child.kill('SIGTERM')
    await new Promise((resolve) =>
      child.exitCode === null ? child.on('close', resolve) : resolve(),
    )
  }
  return { host: `127.0.0.1:${await found}`, pid: child.pid, stop }
}

/** Starts `snap serve` on a data directory; `memory()` is the most that it took so far, MiB. */
export async function startServe(directory) {
  const words = ['serve', '--data-dir', directory, '--bind', '127.0.0.1:0']
  const server = await startServer(process.execPath, [SNAP, ...words], /127\.0\.0\.1:(\d+)/)
  const memory = () => {
    const [, kib] = /VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))
    return Number(kib) / 1024
  }
  return { ...server, memory }
}

/** Makes shards of many files out of small ones: what is in them does not matter here. */
async function enlarge(data) {
  const policy = join(data, 'd', 'autogen')
  const found = []
  for (const id of (await readdir(policy))
    .map(Number)
    .sort((a, b) => a - b)
    .slice(0, SHARDS)) {
    const folder = join(policy, String(id))
    const [first] = (await readdir(folder)).filter((name) => name.endsWith('.tsm'))
    for (let i = 1; i <= COPIES; i++) {
      // All of one generation, which influxd has nothing to compact of.
      const name = `${first.slice(0, 10)}${String(100 + i).padStart(9, '0')}.tsm`
      await copyFile(join(folder, first), join(folder, name))
    }
    found.push(id)
  }
  return found
}

/** Puts the files of each shard one after the other into `<shard>.tar`: as many bytes, about, as its tar. */
async function makeTars(data, folder, ids) {
  await mkdir(folder)
  for (const id of ids) {
    const shard = join(data, 'd', 'autogen', String(id))
    const files = (await readdir(shard)).filter((name) => name.endsWith('.tsm')).sort()
    for (const name of files) {
      await appendFile(join(folder, `${id}.tar`), await readFile(join(shard, name)))
    }
  }
}

/** Seconds of CPU that a process has taken so far. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12)
  return (Number(user) + Number(system)) / 100
}

export async function serve({ influxd, data, at, alternate, say }) {
  if (spawnSync('python3', ['--version']).status !== 0) {
    say('serve: no python3')
    return []
  }
  const [folder, tars] = [at('serve'), at('serve-tars')]
  await cp(data.folder, folder, { recursive: true })
  const ids = await enlarge(join(folder, 'data'))
  await makeTars(join(folder, 'data'), tars, ids)
  const servers = { influxd: await startInfluxd(influxd, folder) }
  try {
    servers.snap = await startServe(join(folder, 'data'))
    servers.sendfile = await startServer('python3', ['-c', SENDER, tars], /^(\d+)$/m)
    // A server has answered before: it is compiled by then, and what it reads is in memory.
    for (const { host } of Object.values(servers)) await receive(host, ids)
    const one = await fetched(servers, ids.slice(0, 1), alternate)
    const all = await fetched(servers, ids, alternate)
    return [...rowsOf('one shard', one), ...rowsOf(`${SHARDS} shards`, all)]
  } finally {
    for (const { stop } of Object.values(servers)) await stop()
  }
}

/** Fetches shards at the same time from one server. */
async function receive(host, ids) {
  const { stdout } = await run('python3', ['-c', RECEIVER, host, ...ids.map(openingOf)])
  return Number(stdout)
}

/** Fetches shards at the same time, from each server in turn; the CPU is that of the server. */
async function fetched(servers, ids, alternate) {
  const { snap, ...others } = Object.fromEntries(
    Object.entries(servers).map(([name, { host, pid }]) => [
      name,
      async () => {
        const before = pid === undefined ? 0 : cpuOf(pid)
        const seconds = await receive(host, ids)
        return { seconds, cpu: pid === undefined ? 0 : cpuOf(pid) - before }
      },
    ]),
  )
  return await alternate({ snap, ...others })
}

function rowsOf(what, { snap: ours, influxd, sendfile }) {
  const taken = (against, theirs, atMost) =>
    ratioRow(`serve, ${what}`, { ours, theirs, against, atMost })
  return [taken('influxd', influxd, 1), taken('sendfile alone', sendfile, 1.33)]
}
