import { chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
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
}

/** Where a sandbox finds the servers that the examples speak of. */
export interface SandboxServers {
  /** The server at the default address, also `db1.example.net`. */
  readonly host: string
  /** An empty one, `db2.example.net`. */
  readonly otherHost: string
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
  const places: Readonly<Record<string, string>> = {
    '/var/lib/influxdb': join(dir, 'lib'),
    '/etc/influxdb/influxdb.conf': join(dir, 'influxdb.conf'),
    '/srv': join(dir, 'srv'),
    '/backup': join(dir, 'backup'),
    'db1.example.net': servers.host,
    'db2.example.net': servers.otherHost,
  }
  await mkdir(join(dir, 'bin'), { recursive: true })
  await makeSampleData(join(dir, 'influx'))
  await writeFile(join(dir, 'influxdb.conf'), configOf(join(dir, 'lib')))
  await cp(join(ROOT, 'test/fixtures/legacy/increments'), join(dir, 'backup/legacy'), {
    recursive: true,
  })
  await cp(join(ROOT, 'test/fixtures/portable/two-sets'), join(dir, 'backup/stock'), {
    recursive: true,
  })
  await addPrograms(join(dir, 'bin'))
  const env = {
    ...process.env,
    PATH: [join(dir, 'bin'), process.env.PATH].join(delimiter),
    EXAMPLE_NODE: process.execPath,
    EXAMPLE_PROGRAM: join(ROOT, 'bin/snap.js'),
    EXAMPLE_HOST: servers.host,
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
  return { dir, run: runScript }
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
  const programs = {
    sudo: 'while [[ $1 = -* ]]; do [[ $1 != -u ]] || shift; shift; done; exec "$@"',
    systemctl: '',
  }
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/usr/bin/env bash\n${body}\n`)
    await chmod(join(bin, name), 0o755)
  }
  await symlink(join(ROOT, 'test/helpers/snap-in-examples'), join(bin, 'snap'))
  const influxd = findInfluxd()
  if (influxd !== undefined) await symlink(influxd, join(bin, 'influxd'))
}
