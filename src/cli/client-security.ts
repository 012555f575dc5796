import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { ClientSecurity } from '../operations/client-security.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import { SECRET_VARIABLES } from './secrets.ts'
import { parseText } from './values.ts'

const GROUP = 'Server, with TLS:'
const value = (flags: string, description: string) =>
  valueSetting({ flags, description, parse: parseText, group: GROUP })

const OPTIONS = {
  tls: switchSetting({ flags: '--tls', description: 'speak TLS with --host', group: GROUP }),
  caFile: value('--ca <file>', 'authorities that may have signed its certificate (PEM)'),
  certFile: value('--cert <file>', 'our certificate, if it asks for one (PEM)'),
  keyFile: value('--key <file>', 'the key of our certificate'),
  serverName: value(
    '--tls-server-name <name>',
    'the name in its certificate, if not that of --host',
  ),
  tokenFile: value(
    '--token-file <file>',
    'the token it asks for; INFLUX_SNAP_TOKEN may hold it too',
  ),
}

/** Holds a token itself; there is no option for it, because all the machine can read a command line. */
const TOKEN_VARIABLE = SECRET_VARIABLES.token

/** Adds `--tls` and what goes with it. */
export function addSecurityOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/**
 * Reads the options of {@link addSecurityOptions}; undefined is a connection without TLS.
 * @throws SnapError `E_USAGE` for one of them without `--tls`, or half of a certificate and its key
 */
export function readSecurityOptions(
  command: Command,
  env: Readonly<Record<string, string | undefined>>,
): ClientSecurity | undefined {
  const files = {
    caFile: OPTIONS.caFile.read(command),
    certFile: OPTIONS.certFile.read(command),
    keyFile: OPTIONS.keyFile.read(command),
    serverName: OPTIONS.serverName.read(command),
    tokenFile: OPTIONS.tokenFile.read(command),
  }
  const token = env[TOKEN_VARIABLE] || undefined
  if (!OPTIONS.tls.read(command)) {
    const names = Object.entries(files).flatMap(([key, given]) => (given ? [nameOf(key)] : []))
    const [alone] = token === undefined ? names : [...names, TOKEN_VARIABLE]
    if (alone === undefined) return undefined
    throw new SnapError('E_USAGE', `${alone} goes with --tls`, {
      hint: 'without TLS nothing of it would be used, and a token never sent',
    })
  }
  if ((files.certFile === undefined) !== (files.keyFile === undefined)) {
    throw new SnapError('E_USAGE', '--cert and --key go together')
  }
  // A file that is named on the line counts before a variable, as everywhere.
  const isNamed = command.getOptionValueSource('tokenFile') === 'cli'
  return token === undefined || isNamed ? files : { ...files, tokenFile: undefined, token }
}

function nameOf(key: string): string {
  const option = Object.entries(OPTIONS).find(([name]) => name === key)
  return `--${option?.[1].name ?? key}`
}
