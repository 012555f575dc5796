import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import {
  addDirectoryOptions,
  addWritingOptions,
  readDirectoryOptions,
  readWritingOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import { runCommand } from '../run.ts'
import { parseDeadline } from '../times.ts'
import { formatBind, oneOf, parseBind, parseText, wholeNumber } from '../values.ts'

const GROUP = 'Service:'
const OPTIONS = {
  bind: valueSetting({
    flags: '--bind <host:port>',
    description: 'where to listen',
    parse: parseBind,
    fallback: '127.0.0.1:8088',
    group: GROUP,
  }),
  mode: valueSetting({
    flags: '--mode <mode>',
    description: 'read-only, or read-write: takes restores too, only with influxd stopped',
    parse: oneOf('read-only', 'read-write'),
    fallback: 'read-only',
    group: GROUP,
  }),
  insecureBind: switchSetting({
    flags: '--insecure-bind',
    description: 'listen beyond this machine without TLS: whoever reaches the port reads all data',
    group: GROUP,
  }),
  maxConnections: valueSetting({
    flags: '--max-connections <n>',
    description: 'connections at a time',
    parse: wholeNumber(1, 10_000),
    fallback: '64',
    group: GROUP,
  }),
  idleTimeout: valueSetting({
    flags: '--idle-timeout <time>',
    description: 'limit for a silence of a client',
    parse: parseDeadline,
    fallback: '2m',
    group: GROUP,
  }),
  drainTimeout: valueSetting({
    flags: '--drain-timeout <time>',
    description: 'how long running requests may take to end after a signal',
    parse: parseDeadline,
    fallback: '10s',
    group: GROUP,
  }),
  tempDir: valueSetting({
    flags: '--temp-dir <dir>',
    description: 'place for spooled files (default: the system’s)',
    parse: parseText,
    group: GROUP,
  }),
}

/** Defines `snap serve`. */
export function defineServe(program: Command, context: CliContext): void {
  const command = program
    .command('serve')
    .description('serve an InfluxDB data directory to backup clients, as influxd does on port 8088')
  addDirectoryOptions(command)
  addWritingOptions(command)
  addSettings(command, OPTIONS)
  addGeneralOptions(command)
  command.action(() =>
    runCommand(context, command, async ({ signal, progress }) => {
      const bind = OPTIONS.bind.read(command)
      if (!isLoopback(bind.host) && !OPTIONS.insecureBind.read(command)) {
        throw new SnapError('E_USAGE', `--bind ${formatBind(bind)} reaches beyond this machine`, {
          hint: 'the protocol has neither password nor encryption; bind to 127.0.0.1, or say --insecure-bind',
        })
      }
      const { indexVersion, influxdIsStopped } = readWritingOptions(command)
      const { serve } = await import('../../operations/serve.ts')
      const served = await serve({
        directory: {
          ...readDirectoryOptions(command),
          indexVersion,
          env: context.env,
        },
        mode: OPTIONS.mode.read(command),
        influxdIsStopped,
        tempDir: OPTIONS.tempDir.read(command) ?? tmpdir(),
        bind,
        limits: {
          connections: OPTIONS.maxConnections.read(command),
          idle: OPTIONS.idleTimeout.read(command),
        },
        drainMs: OPTIONS.drainTimeout.read(command),
        progress,
        signal,
      })
      return { document: { ...served }, summary: 'stopped' }
    }),
  )
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
