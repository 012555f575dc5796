import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { PointFormat } from '../operations/export-points.ts'
import { hasRecipients } from './key-options.ts'
import { switchSetting, valueSetting } from './options.ts'
import { setSetting } from './set-option.ts'
import { refuseTogether } from './settings.ts'
import type { UrlOptions } from './url-options.ts'
import { oneOf, parseText, wholeNumber } from './values.ts'

const GROUP = 'Export:'
/** The options that `snap export` alone has. */
export const EXPORT_OPTIONS = {
  format: valueSetting({
    flags: '--format <format>',
    description: 'portable (a set), lp (line protocol), csv or parquet',
    parse: oneOf('portable', 'lp', 'csv', 'parquet'),
    fallback: 'portable',
    group: GROUP,
  }),
  from: valueSetting({
    flags: '--from <source>',
    description: 'a backup to export from, instead of a server',
    parse: parseText,
    group: GROUP,
  }),
  set: setSetting({
    description: 'its set: a name, latest, or the newest at a time (default: latest that holds it)',
    group: GROUP,
  }),
  compression: valueSetting({
    flags: '--compression <kind>',
    description: 'gzip or none (default: gzip for a set and for names with .gz at the end)',
    parse: oneOf('gzip', 'none'),
    group: GROUP,
  }),
  fingerprint: valueSetting({
    flags: '--fingerprint <on|off>',
    description: 'for a set: keep counts and fingerprints of the points',
    parse: oneOf('on', 'off'),
    fallback: 'on',
    group: GROUP,
  }),
  last: valueSetting({
    flags: '--last <n>',
    description: 'only the newest n points of each field of each series (lp and csv)',
    parse: wholeNumber(1, 1_000_000_000),
    group: GROUP,
  }),
  ddl: switchSetting({
    flags: '--ddl',
    description: 'begin line protocol with CREATE statements, for influx -import',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'say what would be exported; nothing is written',
    group: GROUP,
  }),
}

/** The place that is named where points go to a URL; a TARGET beside it is refused. */
export function refuseTarget(value: string | undefined, { to }: UrlOptions): string {
  if (value === undefined) return to.url.origin
  throw new SnapError('E_USAGE', `TARGET and --to-url are both given: ${value}`)
}

/**
 * Refuses options that do not go together.
 * @throws SnapError `E_USAGE`
 */
export function checkExport(
  command: Command,
  target: string,
  format: PointFormat | 'portable',
): void {
  refuseTogether(command, 'from', ['host', 'data-dir', 'wal-dir', 'meta-dir', 'influxdb-config'])
  if (
    EXPORT_OPTIONS.from.read(command) === undefined &&
    command.getOptionValue('set') !== undefined
  ) {
    throw new SnapError('E_USAGE', '--set goes with --from')
  }
  if (format === 'portable' && target === '-') {
    throw new SnapError('E_USAGE', 'a set has several files, - is one stream', {
      hint: 'name a directory, or choose --format lp, csv or parquet',
    })
  }
  if (format !== 'portable' && hasRecipients(command)) {
    throw new SnapError('E_USAGE', '--encrypt-to goes with --format portable', {
      hint: 'pipe the points through age: snap export --format lp ... - | age -r ...',
    })
  }
  if (format !== 'lp' && EXPORT_OPTIONS.ddl.read(command)) {
    throw new SnapError('E_USAGE', '--ddl goes with --format lp')
  }
  if (format !== 'lp' && format !== 'csv' && EXPORT_OPTIONS.last.read(command) !== undefined) {
    throw new SnapError('E_USAGE', '--last goes with --format lp or csv')
  }
  const gzip = EXPORT_OPTIONS.compression.read(command) === 'gzip'
  if (format === 'parquet' && (gzip || target.endsWith('.gz'))) {
    throw new SnapError('E_USAGE', 'Parquet files are compressed inside, not with gzip')
  }
}
