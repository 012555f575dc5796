import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import { type BindAddress, formatBind, parseBind, parseText } from './values.ts'

const GROUP = 'Entrance:'
const file = (flags: string, description: string) =>
  valueSetting({ flags, description, parse: parseText, group: GROUP })

const OPTIONS = {
  bind: valueSetting({
    flags: '--bind <host:port>',
    description: 'where to listen',
    parse: parseBind,
    fallback: '127.0.0.1:8088',
    group: GROUP,
  }),
  tlsCert: file('--tls-cert <file>', 'speak TLS there with this certificate (PEM)'),
  tlsKey: file('--tls-key <file>', 'its key'),
  tlsClientCa: file('--tls-client-ca <file>', 'ask clients for a certificate of this authority'),
  tokenFile: file('--token-file <file>', 'ask clients for a token of this file, one a line'),
  plainBind: valueSetting({
    flags: '--plain-bind <host:port>',
    description: 'listen here too, for this machine alone, without TLS and token',
    parse: parseBind,
    group: GROUP,
  }),
  metrics: valueSetting({
    flags: '--metrics <host:port>',
    description: 'serve figures for Prometheus here over plain HTTP, at /metrics',
    parse: parseBind,
    group: GROUP,
  }),
  metricsFile: file(
    '--metrics-file <file>',
    'for --metrics, serve the figures that runs keep in this file too',
  ),
  insecureBind: switchSetting({
    flags: '--insecure-bind',
    description: 'listen beyond this machine, whoever may come',
    group: GROUP,
  }),
}

/** Where a service listens, and what it asks of who comes. */
export interface EntranceOptions {
  readonly bind: BindAddress
  readonly plainBind: BindAddress | undefined
  readonly metrics: BindAddress | undefined
  readonly metricsFile: string | undefined
  readonly door: DoorOptions | undefined
}

/** The files of a door. */
export interface DoorOptions {
  readonly certFile: string
  readonly keyFile: string
  readonly clientCaFile: string | undefined
  readonly tokenFile: string | undefined
}

/** Adds `--bind` and what guards it. */
export function addEntranceOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/**
 * Reads the options of {@link addEntranceOptions}.
 * @throws SnapError `E_USAGE` for an entrance that is open to a network, or says that it is guarded and is not
 */
export function readEntranceOptions(command: Command): EntranceOptions {
  const bind = OPTIONS.bind.read(command)
  const plainBind = OPTIONS.plainBind.read(command)
  const door = readDoor(command)
  if (plainBind !== undefined && door === undefined) {
    throw new SnapError('E_USAGE', '--plain-bind goes with --tls-cert', {
      hint: 'without TLS, --bind is plain already',
    })
  }
  if (plainBind !== undefined && !isLoopback(plainBind.host)) {
    throw new SnapError(
      'E_USAGE',
      `--plain-bind ${formatBind(plainBind)} reaches beyond this machine`,
      {
        hint: 'it has neither TLS nor token: bind it to 127.0.0.1',
      },
    )
  }
  if (!isLoopback(bind.host) && !isGuarded(door) && !OPTIONS.insecureBind.read(command)) {
    throw new SnapError('E_USAGE', `--bind ${formatBind(bind)} reaches beyond this machine`, {
      hint:
        'whoever reaches it could read all data: give --tls-cert and --tls-key with --token-file or --tls-client-ca, ' +
        'bind to 127.0.0.1, or say --insecure-bind',
    })
  }
  const metricsFile = OPTIONS.metricsFile.read(command)
  return { bind, plainBind, metrics: readMetricsBind(command), metricsFile, door }
}

function readMetricsBind(command: Command): BindAddress | undefined {
  const bind = OPTIONS.metrics.read(command)
  if (bind === undefined || isLoopback(bind.host) || OPTIONS.insecureBind.read(command)) return bind
  throw new SnapError('E_USAGE', `--metrics ${formatBind(bind)} reaches beyond this machine`, {
    hint: 'figures are served without TLS and password: bind to 127.0.0.1, or say --insecure-bind',
  })
}

function isGuarded(door: DoorOptions | undefined): boolean {
  return door?.tokenFile !== undefined || door?.clientCaFile !== undefined
}

function readDoor(command: Command): DoorOptions | undefined {
  const certFile = OPTIONS.tlsCert.read(command)
  const keyFile = OPTIONS.tlsKey.read(command)
  const clientCaFile = OPTIONS.tlsClientCa.read(command)
  const tokenFile = OPTIONS.tokenFile.read(command)
  if (certFile !== undefined && keyFile !== undefined) {
    return { certFile, keyFile, clientCaFile, tokenFile }
  }
  if (certFile !== undefined || keyFile !== undefined) {
    throw new SnapError('E_USAGE', '--tls-cert and --tls-key go together')
  }
  const alone =
    (tokenFile !== undefined && '--token-file') || (clientCaFile !== undefined && '--tls-client-ca')
  if (!alone) return undefined
  throw new SnapError('E_USAGE', `${alone} goes with --tls-cert and --tls-key`, {
    hint: 'a token or a certificate is never asked for, or sent, without TLS',
  })
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
