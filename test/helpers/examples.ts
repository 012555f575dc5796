import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { findAge } from './age-binary.ts'
import { makeAuthority } from './certificates.ts'
import { findInfluxd } from './influxd-binary.ts'
import { type Finished, run } from './run.ts'
import { ROOT } from './sources.ts'

/** A fenced block of a page. */
export interface Example {
  /** What stands behind the fence: `sh`, `console`, `json`. */
  readonly language: string
  readonly text: string
  /** Line of the fence in the page. */
  readonly line: number
}

/** Reads the fenced blocks of a page of Markdown, those in lists too. */
export function examplesIn(page: string): Example[] {
  const fence = /^( *)```(\S*)\n([\s\S]*?)^\1```$/gm
  return [...page.matchAll(fence)].map((match) => {
    const [, indent = '', language = '', body = ''] = match
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    return { language, text, line: page.slice(0, match.index).split('\n').length }
  })
}

/** Where the examples of a page are run. */
export interface Sandbox {
  readonly dir: string
  /** Runs lines of shell up to the first that fails. Everything they say is in `stdout`, with the places of the examples. */
  readonly run: (script: string) => Promise<Finished>
  /** Writes a file whose first line is a comment with its path. */
  readonly write: (text: string) => Promise<void>
}

/** Where a sandbox finds the servers that the examples speak of. */
export interface SandboxServers {
  /** The server at the default address, also `db1.example.net`. */
  readonly host: string
  /** An empty one, `db2.example.net`. */
  readonly otherHost: string
  /** URLs of their HTTP APIs, where they have one. */
  readonly http?: string
  readonly otherHttp?: string
  /** URL of who takes heartbeats, and points of a migration. */
  readonly receiver: string
  /** Buckets: their place by the name that examples have, and what opens them. */
  readonly s3?: { readonly places: Readonly<Record<string, string>>; readonly env: Environment }
}

type Environment = Readonly<Record<string, string>>

/** Programs that do nothing in a sandbox, and why. */
export const NOT_REAL: Readonly<Record<string, string>> = {
  systemctl: 'the service manager of the machine is not for tests',
  journalctl: 'the same',
  ssh: 'there is no other machine',
  mountpoint: 'nothing is mounted in a sandbox',
  'after-backup': 'a hook that the reader writes',
}

/** Makes the sample data directory of the demo. */
export async function makeSampleData(dir: string): Promise<void> {
  const { code, stderr } = await run(process.execPath, [join(ROOT, 'scripts/demo-data.mjs'), dir])
  if (code !== 0) throw new Error(stderr)
}

/**
 * Makes a directory in which examples run as they stand: `snap` is the program, `influxd` a real one if there is any, and the
 * places that examples name (`/var/lib/influxdb`, `/backup`, hosts) lead into the sandbox.
 */
export async function makeSandbox(dir: string, servers: SandboxServers): Promise<Sandbox> {
  const places = placesOf(dir, servers)
  for (const name of ['bin', 'etc', 'units', 'textfile', 'tmp', '.config/fish/completions']) {
    await mkdir(join(dir, name), { recursive: true })
  }
  await makeSampleData(join(dir, 'influx'))
  await addFiles(dir, servers)
  await addPrograms(join(dir, 'bin'))
  const env = {
    ...process.env,
    ...servers.s3?.env,
    HOME: dir,
    PATH: [join(dir, 'bin'), process.env.PATH].join(delimiter),
    EXAMPLE_NODE: process.execPath,
    EXAMPLE_PROGRAM: join(ROOT, 'bin/snap.js'),
    EXAMPLE_HOST: servers.host,
    EXAMPLE_HTTP: servers.http ?? '',
    // Whether the tests run as root or in a container is not what examples are about.
    INFLUX_SNAP_INFLUXD_IS_STOPPED: '1',
    XDG_STATE_HOME: join(dir, 'state'),
    CI: '1',
  }
  const runScript = async (script: string) => {
    const lines = `exec 2>&1\n${relocate(script, places)}`
    const finished = await run('bash', ['-euo', 'pipefail', '-c', lines], { cwd: dir, env })
    return { ...finished, stdout: asShown(finished.stdout, dir, servers.host) }
  }
  const write = async (text: string) => {
    const [, path = ''] = /^# (\/\S+?)(?:,.*)?\n/.exec(text) ?? []
    await writeFile(relocate(path, places), relocate(text, places))
  }
  return { dir, run: runScript, write }
}

/** Where the places that examples name are. A name that begins with another one comes first. */
function placesOf(dir: string, servers: SandboxServers): Readonly<Record<string, string>> {
  return {
    '/var/lib/influxdb': join(dir, 'lib'),
    '/etc/influxdb/influxdb.conf': join(dir, 'influxdb.conf'),
    '/etc/influx-snap': join(dir, 'etc'),
    '/etc/systemd/system': join(dir, 'units'),
    '/usr/local/bin/after-backup': join(dir, 'bin/after-backup'),
    '/var/lib/node_exporter/textfile': join(dir, 'textfile'),
    '/var/tmp': join(dir, 'tmp'),
    '/srv': join(dir, 'srv'),
    '/backup': join(dir, 'backup'),
    'http://db1.example.net:8086': servers.http ?? 'http://none.invalid',
    'http://db2.example.net:8086': servers.otherHttp ?? 'http://none.invalid',
    'http://new.example.net:8086': servers.receiver,
    'https://hc-ping.com': servers.receiver,
    'db1.example.net': servers.host,
    'db2.example.net': servers.otherHost,
    '127.0.0.1:8088': servers.host,
    ...servers.s3?.places,
  }
}

/** Adds what examples take for granted: a configuration, its secrets, backups of influxd, certificates. */
async function addFiles(dir: string, { receiver }: SandboxServers): Promise<void> {
  await writeFile(join(dir, 'influxdb.conf'), configOf(join(dir, 'lib')))
  await writeFile(join(dir, 'etc/http-password'), 'secret\n')
  for (const name of ['backup', 'verify', 'prune']) {
    await writeFile(join(dir, `etc/heartbeat-${name}`), `${receiver}/${name}\n`)
  }
  for (const [fixture, name] of [
    ['legacy/increments', 'legacy'],
    ['portable/two-sets', 'stock'],
  ] as const) {
    const to = join(dir, 'backup', name)
    await cp(join(ROOT, 'test/fixtures', fixture), to, { recursive: true })
  }
  await symlink(join(ROOT, 'docs'), join(dir, 'docs'))
  const { certFile, keyFile } = await (await makeAuthority()).certify('server')
  await cp(certFile, join(dir, 'server.crt'))
  await cp(keyFile, join(dir, 'server.key'))
  await writeFile(join(dir, 'tokens'), '0123456789abcdef0123456789abcdef\n')
}

/** Puts places and the address of the server back to what examples call them. */
function asShown(output: string, dir: string, host: string): string {
  return output
    .replaceAll(host, '127.0.0.1:8088')
    .replaceAll(join(dir, 'backup/'), '/backup/')
    .replaceAll(dir, '/home/ana')
}

function relocate(script: string, places: Readonly<Record<string, string>>): string {
  const names = Object.keys(places).map((name) => name.replaceAll('.', '\\.'))
  return script.replace(
    new RegExp(`(?<![\\w./-])(${names.join('|')})(?::8088)?(?![\\w-])`, 'g'),
    (_, name: string) => places[name] ?? name,
  )
}

function configOf(dir: string): string {
  return `[meta]\ndir = "${dir}/meta"\n[data]\ndir = "${dir}/data"\nwal-dir = "${dir}/wal"\n`
}

async function addPrograms(bin: string): Promise<void> {
  const sudo = 'while [[ $1 = -* ]]; do [[ $1 != -u ]] || shift; shift; done; exec "$@"'
  const idle = Object.keys(NOT_REAL).map((name) => [name, ''] as const)
  for (const [name, body] of [['sudo', sudo] as const, ...idle]) {
    await writeFile(join(bin, name), `#!/usr/bin/env bash\n${body}\n`)
    await chmod(join(bin, name), 0o755)
  }
  for (const name of ['snap', 'influx-snap']) {
    await symlink(join(ROOT, 'test/helpers/snap-in-examples'), join(bin, name))
  }
  const age = findAge()
  for (const program of [findInfluxd(), age, age && join(dirname(age), 'age-keygen')]) {
    if (program) await symlink(program, join(bin, basename(program)))
  }
}
