import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { asSnapError, SnapError } from '../errors.ts'
import type { CliContext } from './context.ts'
import { addSettings, secretSetting, valueSetting } from './options.ts'
import { refuseTogether } from './settings.ts'
import { parseDeadline } from './times.ts'
import { parseText } from './values.ts'

const GROUP = 'Watching:'
const text = (flags: string, description: string) =>
  valueSetting({ flags, description, parse: parseText, group: GROUP })
const secretUrl = (flags: string, description: string) =>
  secretSetting({ flags, description, parse: parseSecretUrl, group: GROUP })

const OPTIONS = {
  hookBefore: text('--hook-before <command>', 'run this first; if it fails, nothing is done'),
  hookAfter: text('--hook-after <command>', 'run this at the end, however that is'),
  hookTimeout: valueSetting({
    flags: '--hook-timeout <time>',
    description: 'how long each may take',
    parse: parseDeadline,
    fallback: '5m',
    group: GROUP,
  }),
  heartbeat: secretUrl('--heartbeat-url <url>', 'tell this URL of start, success and failure'),
  heartbeatFile: text('--heartbeat-url-file <file>', 'the URL is on the first line of this file'),
  webhook: secretUrl('--webhook-url <url>', 'send the JSON document of the result to this URL'),
  webhookFile: text('--webhook-url-file <file>', 'the URL is on the first line of this file'),
  metricsFile: text(
    '--metrics-file <file>',
    'keep figures of the runs in this file, for the textfile collector of Prometheus',
  ),
}

/** Who is to hear of a run. */
export interface WatchOptions {
  readonly hookBefore: string | undefined
  readonly hookAfter: string | undefined
  /** Milliseconds. */
  readonly hookTimeout: number
  readonly heartbeat: string | undefined
  readonly webhook: string | undefined
  readonly metricsFile: string | undefined
}

/** Adds hooks, `--heartbeat-url`, `--webhook-url` and `--metrics-file`; the rest is done by `runCommand`. */
export function addWatchOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Set for hooks, and for what they start. */
export const IN_HOOK = 'INFLUX_SNAP_RUN_COMMAND'

/**
 * Reads the options of {@link addWatchOptions}; undefined if nobody is to hear of the run. A run within a hook has no hooks and
 * says nothing of itself: it is part of another one.
 * @throws SnapError `E_USAGE` for a file that cannot be read, or holds no URL
 */
export async function readWatchOptions(
  command: Command,
  env: CliContext['env'],
): Promise<WatchOptions | undefined> {
  const metricsFile = OPTIONS.metricsFile.read(command)
  const hookTimeout = OPTIONS.hookTimeout.read(command)
  const nothing = { hookBefore: undefined, hookAfter: undefined, heartbeat: undefined }
  const options = env[IN_HOOK]
    ? { ...nothing, webhook: undefined }
    : {
        hookBefore: OPTIONS.hookBefore.read(command),
        hookAfter: OPTIONS.hookAfter.read(command),
        heartbeat: await urlOf(command, OPTIONS.heartbeat, OPTIONS.heartbeatFile),
        webhook: await urlOf(command, OPTIONS.webhook, OPTIONS.webhookFile),
      }
  const isWatched = metricsFile !== undefined || Object.values(options).some(Boolean)
  return isWatched ? { ...options, metricsFile, hookTimeout } : undefined
}

async function urlOf(
  command: Command,
  url: typeof OPTIONS.heartbeat,
  file: typeof OPTIONS.heartbeatFile,
): Promise<string | undefined> {
  const path = file.read(command)
  if (path === undefined) return url.read(command)
  refuseTogether(command, url.name, [file.name])
  const name = `--${file.name} ${path}`
  try {
    const [line = ''] = (await readFile(path, 'utf8')).split(/\r?\n/, 1)
    return parseSecretUrl(line.trim(), name)
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', name)
  }
}

/** Reads a URL that nobody is to see, not even in an error. */
function parseSecretUrl(url: string, name: string): string {
  const isHttp = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)
  if (isHttp) return url
  throw new SnapError('E_USAGE', `${name}: expected a URL as https://host/path`, {
    hint: 'such a URL is a secret: what was found is not shown',
  })
}
