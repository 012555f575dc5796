import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { ServerPlace } from '../operations/server.ts'
import { readSecurityOptions } from './client-security.ts'
import {
  readConnectionOptions,
  readDirectoryOptions,
  readTransferOptions,
  readWritingOptions,
} from './common-options.ts'
import type { CliContext } from './context.ts'
import { refuseTogether } from './settings.ts'

/** Tells whether the options name a data directory, and not a server. */
export function namesDirectory(command: Command): boolean {
  const { dataDir, influxdbConfig } = readDirectoryOptions(command)
  return dataDir !== undefined || influxdbConfig !== undefined
}

/**
 * Reads where the other side is: `--host`, or a data directory to be served in this process.
 * @throws SnapError `E_USAGE` if both are named, or a WAL or meta directory without its data directory
 */
export function readServerPlace(command: Command, context: CliContext): ServerPlace {
  const directories = readDirectoryOptions(command)
  const { env } = context
  if (namesDirectory(command)) {
    const named = directories.dataDir !== undefined ? 'data-dir' : 'influxdb-config'
    refuseTogether(command, named, ['host'])
    const { tempDir } = readTransferOptions(command)
    return { directory: { ...directories, env }, mode: 'read-only', tempDir }
  }
  if (directories.walDir !== undefined || directories.metaDir !== undefined) {
    throw new SnapError('E_USAGE', '--wal-dir and --meta-dir go with --data-dir')
  }
  return readHostPlace(command, context)
}

/**
 * Reads where a server on the network is, and how it is spoken with.
 * @throws SnapError `E_USAGE` if what goes with TLS is given without it
 */
export function readHostPlace(command: Command, { env }: CliContext): ServerPlace {
  const { host, deadlines } = readConnectionOptions(command)
  return { host, deadlines, security: readSecurityOptions(command, env) }
}

/** Reads the same for a command that writes to the other side. */
export function readWritablePlace(command: Command, context: CliContext): ServerPlace {
  const place = readServerPlace(command, context)
  if ('host' in place) return place
  const { indexVersion, influxdIsStopped } = readWritingOptions(command)
  const directory = { ...place.directory, indexVersion }
  return { ...place, directory, mode: 'read-write', influxdIsStopped }
}
