import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readLink, readText } from '../io/proc.ts'
import { resolveDataDirectory } from './config.ts'

/** True if the process `/proc/<pid>` runs a program called influxd, also one that was replaced while it runs. */
export function isInfluxd(directory: string): boolean {
  const program = readLink(join(directory, 'exe')) ?? ''
  return basename(program.replace(/ \(deleted\)$/, '')) === 'influxd'
}

function readList(path: string): string[] {
  return (readText(path) ?? '').split('\0').filter((text) => text !== '')
}

/** Finds the value of `-config FILE`, `-config=FILE` or the same with two dashes. */
function configArgument(args: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    const match = /^--?config(?:=(.*))?$/s.exec(arg)
    if (match !== null) return match[1] ?? args[index + 1]
  }
  return undefined
}

function findConfig(directory: string, env: Record<string, string | undefined>): string {
  const root = join(directory, 'root')
  const cwd = readLink(join(directory, 'cwd')) ?? '/'
  const named = configArgument(readList(join(directory, 'cmdline'))) ?? env['INFLUXDB_CONFIG_PATH']
  if (named === '/dev/null') return named
  if (named) return named.startsWith('/') ? root + named : join(root, cwd, named)
  const usual = [`${env['HOME'] ?? ''}/.influxdb/influxdb.conf`, '/etc/influxdb/influxdb.conf']
  const found = usual.map((path) => root + path).find((path) => existsSync(path))
  return found ?? '/dev/null'
}

/**
 * Returns the directories that a running influxd was told to use, as seen from here: one without a single database
 * has none of its files open, and yet holds the metastore in memory and writes it back.
 * @param directory `/proc/<pid>` of a process that may be looked into
 * @throws SnapError `E_USAGE` if its configuration cannot be read
 */
export async function directoriesOfInfluxd(directory: string): Promise<string[]> {
  const pairs = readList(join(directory, 'environ')).map((text): [string, string] => {
    const at = text.indexOf('=')
    return [text.slice(0, at), text.slice(at + 1)]
  })
  const env = Object.fromEntries(pairs)
  const { dataDir, walDir, metaDir } = await resolveDataDirectory({
    influxdbConfig: findConfig(directory, env),
    base: readLink(join(directory, 'cwd')) ?? '/',
    env,
  })
  return [dataDir, walDir, metaDir]
}
