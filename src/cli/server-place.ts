import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { ServerPlace } from '../operations/server.ts'
import {
  readConnectionOptions,
  readDirectoryOptions,
  readTransferOptions,
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
 * @param mode what is done to a data directory
 * @throws SnapError `E_USAGE` if both are named, or a WAL or meta directory without its data directory
 */
export function readServerPlace(
  command: Command,
  { env }: CliContext,
  mode: 'read-only' | 'read-write',
): ServerPlace {
  const directories = readDirectoryOptions(command)
  const { host, deadlines } = readConnectionOptions(command)
  if (!namesDirectory(command)) {
    if (directories.walDir !== undefined || directories.metaDir !== undefined) {
      throw new SnapError('E_USAGE', '--wal-dir and --meta-dir go with --data-dir')
    }
    return { host, deadlines }
  }
  if (directories.dataDir !== undefined) refuseTogether(command, 'data-dir', ['host'])
  else refuseTogether(command, 'influxdb-config', ['host'])
  const { tempDir } = readTransferOptions(command)
  return { directory: { ...directories, env }, mode, tempDir }
}
