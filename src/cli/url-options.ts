import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { WritePlace } from '../operations/write-endpoint.ts'
import type { CliContext } from './context.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import { readSecret, SECRET_VARIABLES } from './secrets.ts'
import { parseText, parseUrl } from './values.ts'

const GROUP = 'To another database:'
const OPTIONS = {
  url: valueSetting({
    flags: '--to-url <url>',
    description:
      'write the points there instead: http://host:8086 (1.x), .../api/v2/write, .../api/v3/write_lp',
    parse: parseUrl,
    group: GROUP,
  }),
  into: valueSetting({
    flags: '--to-name <name>',
    description: 'database or bucket; {db} and {rp} are the names at the source',
    parse: parseText,
    group: GROUP,
  }),
  org: valueSetting({
    flags: '--to-org <name>',
    description: 'organization, for InfluxDB 2',
    parse: parseText,
    group: GROUP,
  }),
  user: valueSetting({
    flags: '--to-user <name>',
    description: 'who writes; the password is in INFLUX_SNAP_TO_PASSWORD',
    parse: parseText,
    group: GROUP,
  }),
  passwordFile: valueSetting({
    flags: '--to-password-file <file>',
    description: 'or in this file, on its first line',
    parse: parseText,
    group: GROUP,
  }),
  tokenFile: valueSetting({
    flags: '--to-token-file <file>',
    description: 'the token on its first line; INFLUX_SNAP_TO_TOKEN may hold it too',
    parse: parseText,
    group: GROUP,
  }),
  checkCounts: switchSetting({
    flags: '--check-counts',
    description: 'let InfluxDB 1.x count afterwards what it has, field by field',
    group: GROUP,
  }),
  resume: switchSetting({
    flags: '--resume',
    description: 'go on where an interrupted export of the same to the same place stopped',
    group: GROUP,
  }),
}

/** Adds `--to-url` and what goes with it. */
export function addUrlOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Where points are written to, and whether an earlier run is gone on with. */
export interface UrlOptions {
  readonly to: WritePlace
  readonly resume: boolean
  readonly checkCounts: boolean
}

/**
 * Reads the options of {@link addUrlOptions}; undefined without `--to-url`.
 * @throws SnapError `E_USAGE` for one of them without `--to-url`, or a file that cannot be read
 */
export async function readUrlOptions(
  command: Command,
  { env }: Pick<CliContext, 'env'>,
): Promise<UrlOptions | undefined> {
  const url = OPTIONS.url.read(command)
  const { into, org, user, passwordFile, tokenFile } = {
    into: OPTIONS.into.read(command),
    org: OPTIONS.org.read(command),
    user: OPTIONS.user.read(command),
    passwordFile: OPTIONS.passwordFile.read(command),
    tokenFile: OPTIONS.tokenFile.read(command),
  }
  const resume = OPTIONS.resume.read(command)
  const checkCounts = OPTIONS.checkCounts.read(command)
  if (url === undefined) {
    if (into ?? org ?? user ?? passwordFile ?? tokenFile ?? (resume || checkCounts || undefined)) {
      throw new SnapError(
        'E_USAGE',
        '--resume, --check-counts and all of --to-... go with --to-url',
      )
    }
    return undefined
  }
  const password = passwordFile
    ? await readSecret('--to-password-file', passwordFile)
    : env[SECRET_VARIABLES.toPassword]
  const token = tokenFile
    ? await readSecret('--to-token-file', tokenFile)
    : env[SECRET_VARIABLES.toToken]
  return { to: { url: new URL(url), into, org, user, password, token }, resume, checkCounts }
}
