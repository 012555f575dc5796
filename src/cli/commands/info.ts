import type { Command } from 'commander'
import type { SetInfo } from '../../operations/info.ts'
import { formatGoTime } from '../../protocol/go-time.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatCount, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { placeOf, runCommand } from '../run.ts'
import { type Screen, screenOf } from '../screen.ts'
import { setSetting } from '../set-option.ts'
import {
  chainText,
  drilledText,
  kindOf,
  setDocument,
  timesDocument,
  verifiedText,
} from '../set-state.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'
import { tableLines } from '../table.ts'

const OPTIONS = {
  set: setSetting({
    description: 'the set: a name, latest, or the newest at a time (default: latest)',
    group: 'Info:',
  }),
}

/** Nanoseconds. */
const DAY = 86_400_000_000_000n

/** Defines `snap info`. */
export function defineInfo(program: Command, context: CliContext): void {
  const command = program
    .command('info')
    .description('show one set in detail: databases, shards, times, sizes, how it was checked')
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix with sets of snap or influxd')
  addSettings(command, OPTIONS)
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { info } = await import('../../operations/info.ts')
      const store = await openStoreAt(command, source)
      const set = OPTIONS.set.read(command)
      const screen = await screenOf(command, context)
      return report(await info(store, { set, signal: run.signal }), source, screen)
    }),
  )
}

function report(info: SetInfo, source: string, { width }: Screen): CommandResult {
  const { summary, pin, catalog, shards, files } = info
  const document = {
    ...{ source, ...setDocument(summary), pin: pin ?? null },
    ...(catalog && {
      tool: catalog.tool,
      server: catalog.server,
      selection: catalog.selection,
      completenessReason: catalog.completenessReason,
      skipped: catalog.skipped,
    }),
    shardTable: shards.map(({ times, ...shard }) => ({ ...shard, ...timesDocument(times) })),
    files: files.map(({ isShared: shared, isThere: present, ...file }) => ({
      ...file,
      shared,
      present,
    })),
  }
  return { document, text: [...headLines(info, width), '', ...shardLines(info, width)].join('\n') }
}

function headLines({ summary, pin, catalog, files }: SetInfo, width: number | undefined): string[] {
  const { set, time, parent, bytes, stored, shared, completeness, lost, encrypted, times } = summary
  const server = catalog && `cluster ${catalog.server.clusterId}${hostText(catalog.server.host)}`
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['set', `${set} (${kindOf(summary)})`],
    ['begun', time],
    ['written by', catalog ? `${catalog.tool.name} ${catalog.tool.version}` : 'influxd'],
    ['server', server],
    ['parent', parent],
    ['chain', chainText(summary)],
    ['times', times && `${formatGoTime(times.start)} to ${formatGoTime(times.end)}`],
    ['size', `${formatBytes(bytes)}, stored ${formatBytes(stored)}, shared ${formatBytes(shared)}`],
    ['files', `${formatCount(files.length)}${encrypted ? ', encrypted' : ''}`],
    ['complete', completeness && completenessText(completeness, lost, catalog)],
    ['verified', verifiedText(summary.verified)],
    ['drilled', drilledText(summary.drilled)],
    ['pinned', summary.pinned ? (pin?.reason ?? 'yes') : undefined],
    ['problem', summary.problem],
  ]
  const told = rows.flatMap(([name, text]) => (text === undefined ? [] : [[name, printable(text)]]))
  const [, ...lines] = tableLines([{ title: '' }, { title: '', wraps: true }], told, width)
  return lines
}

function hostText(host: string | undefined): string {
  return host === undefined ? '' : ` (${host})`
}

function completenessText(completeness: string, lost: number, catalog: SetInfo['catalog']): string {
  const why = catalog?.completenessReason
  const gone = lost === 0 ? [] : [`${formatNumberOf(lost, 'shard')} lost`]
  return [why === undefined ? completeness : `${completeness}: ${why}`, ...gone].join(', ')
}

/** The minute of a time, or the day where all times are of midnight: a row fits a terminal then. */
function timeFormat(shards: SetInfo['shards']): (time: bigint) => string {
  const isWhole = shards.every(
    ({ times }) => times === undefined || (times.start % DAY === 0n && times.end % DAY === 0n),
  )
  return (time) => formatGoTime(time).slice(0, isWhole ? 10 : 16)
}

function shardLines({ shards, summary }: SetInfo, width: number | undefined): string[] {
  const format = timeFormat(shards)
  const rows = shards.map(({ database, retentionPolicy, shardId, times, bytes, archive }) => [
    printable(`${database}.${retentionPolicy}`),
    String(shardId),
    times ? format(times.start) : '',
    times ? format(times.end) : '',
    formatBytes(bytes),
    archive.startsWith(`${summary.set}.`) ? '' : archive.slice(0, archive.indexOf('.')),
  ])
  return tableLines(
    [
      { title: 'policy', wraps: true },
      { title: 'shard', align: 'right' },
      { title: 'from' },
      { title: 'to' },
      { title: 'size', align: 'right' },
      { title: 'in set' },
    ],
    rows,
    width,
  )
}
