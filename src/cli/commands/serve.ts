import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import {
  addDirectoryOptions,
  addWritingOptions,
  readDirectoryOptions,
  readWritingOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings, valueSetting } from '../options.ts'
import { readPackageInfo } from '../package-info.ts'
import { runCommand } from '../run.ts'
import { addEntranceOptions, readEntranceOptions } from '../serve-entrance.ts'
import { refuseTogether } from '../settings.ts'
import { parseDeadline } from '../times.ts'
import { oneOf, parseHost, parseSize, parseText, wholeNumber } from '../values.ts'

const GROUP = 'Service:'
const deadline = (flags: string, description: string, fallback: string) =>
  valueSetting({ flags, description, parse: parseDeadline, fallback, group: GROUP })

const OPTIONS = {
  upstream: valueSetting({
    flags: '--upstream <host:port>',
    description: 'stand in front of this influxd instead of serving a data directory',
    parse: parseHost,
    group: GROUP,
  }),
  mode: valueSetting({
    flags: '--mode <mode>',
    description:
      'read-only, or read-write: takes restores too; a data directory only with influxd stopped',
    parse: oneOf('read-only', 'read-write'),
    fallback: 'read-only',
    group: GROUP,
  }),
  maxConnections: valueSetting({
    flags: '--max-connections <n>',
    description: 'connections at a time',
    parse: wholeNumber(1, 10_000),
    fallback: '64',
    group: GROUP,
  }),
  idleTimeout: deadline('--idle-timeout <time>', 'limit for a silence of a client', '2m'),
  uploadTimeout: deadline('--upload-timeout <time>', 'limit for a whole upload', '30m'),
  requestTimeout: deadline('--request-timeout <time>', 'limit for a request and its answer', '24h'),
  drainTimeout: deadline(
    '--drain-timeout <time>',
    'how long running requests may take to end after a signal',
    '10s',
  ),
  maxSpooled: valueSetting({
    flags: '--max-spooled <size>',
    description: 'limit for uploads to --upstream that are not whole yet, all together',
    parse: parseSize,
    fallback: '64GiB',
    group: GROUP,
  }),
  tempDir: valueSetting({
    flags: '--temp-dir <dir>',
    description: 'place for spooled files (default: the system’s)',
    parse: parseText,
    group: GROUP,
  }),
}

/** What goes with a data directory alone. */
const OF_DIRECTORIES = [
  ...['data-dir', 'wal-dir', 'meta-dir', 'influxdb-config'],
  ...['index-version', 'influxd-is-stopped'],
]

/** Defines `snap serve`. */
export function defineServe(program: Command, context: CliContext): void {
  const command = program
    .command('serve')
    .description('serve an InfluxDB data directory to backup clients, as influxd does on port 8088')
  addDirectoryOptions(command)
  addWritingOptions(command)
  addEntranceOptions(command)
  addSettings(command, OPTIONS)
  addGeneralOptions(command)
  command.action(() =>
    runCommand(context, command, async ({ signal, progress }) => {
      const { metrics, metricsFile: runsFile, ...entrance } = readEntranceOptions(command)
      const source = readSource(command, context)
      const { serve } = await import('../../operations/serve.ts')
      const served = await serve({
        ...entrance,
        source,
        mode: OPTIONS.mode.read(command),
        metrics: metrics && { bind: metrics, version: readPackageInfo().version, runsFile },
        tempDir: OPTIONS.tempDir.read(command) ?? tmpdir(),
        limits: {
          connections: OPTIONS.maxConnections.read(command),
          idle: OPTIONS.idleTimeout.read(command),
          upload: OPTIONS.uploadTimeout.read(command),
          total: OPTIONS.requestTimeout.read(command),
          spooled: OPTIONS.maxSpooled.read(command),
        },
        drainMs: OPTIONS.drainTimeout.read(command),
        progress,
        signal,
      })
      return { document: { ...served }, summary: 'stopped' }
    }),
  )
}

function readSource(command: Command, { env }: CliContext) {
  const upstream = OPTIONS.upstream.read(command)
  if (upstream !== undefined) {
    refuseTogether(command, 'upstream', OF_DIRECTORIES)
    return { upstream }
  }
  const { indexVersion, influxdIsStopped } = readWritingOptions(command)
  return { directory: { ...readDirectoryOptions(command), indexVersion, env }, influxdIsStopped }
}
