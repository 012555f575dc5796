import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { Checked, CheckedPart } from '../../operations/check.ts'
import type { ExpiringShard } from '../../operations/expiry.ts'
import { formatGoTime } from '../../protocol/go-time.ts'
import {
  addConnectionOptions,
  addDirectoryOptions,
  addSelectionOptions,
  addTransferOptions,
  readSelectionOptions,
  readTransferOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatDuration, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addHttpOptions, readHttpOptions } from '../http-options.ts'
import { addEncryptionOptions, readIdentities, readRecipientsOrPassphrase } from '../key-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { runCommand, takenOnce } from '../run.ts'
import { type Meaning, type Screen, screenOf } from '../screen.ts'
import { readServerPlace } from '../server-place.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'
import { type Column, tableLines } from '../table.ts'
import { parseDuration } from '../times.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Check:'
const OPTIONS = {
  expiry: switchSetting({
    flags: '--expiry',
    description: 'look for shards that their policy drops before a verified set holds them',
    group: GROUP,
  }),
  within: valueSetting({
    flags: '--within <time>',
    description: 'how far --expiry looks ahead',
    parse: parseDuration,
    fallback: '7d',
    group: GROUP,
  }),
  acceptUnverified: switchSetting({
    flags: '--accept-unverified',
    description: 'for --expiry, sets that were never verified count too',
    group: GROUP,
  }),
}

/** Defines `snap check`. */
export function defineCheck(program: Command, context: CliContext): void {
  const command = program
    .command('check')
    .description('look at everything that a backup needs, and change nothing')
    .argument('[TARGET]', 'where backups go, or will go')
  addSettings(command, OPTIONS)
  addConnectionOptions(command)
  addDirectoryOptions(command)
  addSelectionOptions(command)
  addHttpOptions(command)
  addStoreOptions(command)
  addEncryptionOptions(command)
  addTransferOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const target = takenOnce(run, { name: 'TARGET', value })
      const wantsExpiry = OPTIONS.expiry.read(command)
      if (wantsExpiry && target === undefined) {
        throw new SnapError('E_USAGE', '--expiry goes with TARGET')
      }
      const within = OPTIONS.within.read(command)
      const acceptUnverified = OPTIONS.acceptUnverified.read(command)
      const { check } = await import('../../operations/check.ts')
      const checked = await check({
        place: readServerPlace(command, context),
        http: await readHttpOptions(command, context),
        target,
        openStore: async (location) => await openStoreAt(command, location),
        identities: await readIdentities(command, { context, run }),
        encrypts: (await readRecipientsOrPassphrase(command, context)) !== undefined,
        tempDir: readTransferOptions(command).tempDir ?? tmpdir(),
        selection: readSelectionOptions(command),
        expiry: wantsExpiry ? { within, acceptUnverified } : undefined,
        signal: run.signal,
      })
      const screen = await screenOf(command, context)
      return report(checked, { target, within, screen })
    }),
  )
}

interface Request {
  readonly target: string | undefined
  readonly within: number
  readonly screen: Screen
}

const MEANINGS: Readonly<Record<CheckedPart['status'] | ExpiringShard['state'], Meaning>> = {
  ok: 'good',
  warning: 'doubt',
  failed: 'bad',
  skipped: 'plain',
  held: 'good',
  unverified: 'doubt',
  changed: 'bad',
  absent: 'bad',
}

function report({ parts, expiring }: Checked, { target, within, screen }: Request): CommandResult {
  const document = {
    ...(target !== undefined && { target }),
    parts: parts.map(({ error, ...part }) => ({
      ...part,
      ...(error && { code: error.code, exitCode: error.exitCode }),
    })),
    ...(expiring && { withinMs: within, expiring: expiring.map(withTimes) }),
  }
  const rows = parts.map(({ part, status, message }) => [status, part, printable(message)])
  const columns = [
    statusColumn('status', screen),
    { title: 'part' },
    { title: 'found', wraps: true },
  ]
  const lines = [...tableLines(columns, rows, screen.width), ...expiryLines(screen, expiring)]
  const text = lines.join('\n')
  const problem = problemOf(parts, expiring)
  // With --quiet, cron mails what is said: nothing as long as nothing is wrong.
  return { document, ...(problem === undefined ? { summary: text } : { text }), problem }
}

/** The column that says how each row is. */
function statusColumn(title: string, { paint }: Screen): Column {
  return {
    title,
    paint: (piece, cell) => {
      const known = Object.entries(MEANINGS).find(([state]) => state === cell)
      return paint(piece, known?.[1] ?? 'plain')
    },
  }
}

function withTimes({ start, end, drops, ...shard }: ExpiringShard) {
  const [startText, endText] = [formatGoTime(start), formatGoTime(end)]
  return { ...shard, start: startText, end: endText, drops: formatGoTime(drops) }
}

function expiryLines(screen: Screen, expiring: readonly ExpiringShard[] = []): string[] {
  if (expiring.length === 0) return []
  const titles = ['shard', 'policy', 'to', 'dropped from', 'left', 'set']
  const wrapping = ['policy', 'set']
  // Minutes are enough where there is little room.
  const time = (at: bigint) =>
    formatGoTime(at).slice(0, screen.width === undefined ? undefined : 16)
  const columns = [
    statusColumn('state', screen),
    ...titles.map((title) => ({ title, wraps: wrapping.includes(title) })),
  ]
  const rows = expiring.map((shard) => {
    const left = Number(shard.drops / 1_000_000n) - Date.now()
    return [
      shard.state,
      String(shard.shardId),
      `${shard.database}.${shard.retentionPolicy}`,
      time(shard.end),
      time(shard.drops),
      left > 0 ? formatDuration(left) : 'now',
      shard.set ?? '',
    ].map(printable)
  })
  return ['', ...tableLines(columns, rows, screen.width)]
}

/** The first part that failed speaks for all: what comes after may fail because of it. */
function problemOf(
  parts: readonly CheckedPart[],
  expiring: readonly ExpiringShard[] = [],
): SnapError | undefined {
  const failed = parts.find(({ error }) => error !== undefined)
  if (failed?.error !== undefined) {
    const { code, message, hint } = failed.error
    return new SnapError(code, `${failed.part}: ${message}`, { hint, cause: failed.error })
  }
  const atRisk = expiring.filter(({ state }) => state !== 'held')
  const [first] = atRisk
  if (first === undefined) return undefined
  const message = `${formatNumberOf(atRisk.length, 'shard')} may be dropped before a verified set holds them, the first from ${formatGoTime(first.drops)} on`
  const isUnverified = atRisk.every(({ state }) => state === 'unverified')
  return new SnapError('E_AT_RISK', message, {
    hint: isUnverified
      ? 'run snap verify on the whole target; --accept-unverified counts sets that nobody verified'
      : 'run a backup and verify it before the retention policy drops these shards',
  })
}
