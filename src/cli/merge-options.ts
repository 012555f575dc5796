import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { OnConflict } from '../operations/merge-look.ts'
import { addTimeRangeOptions, readExactRange } from './common-options.ts'
import { addSettings, switchSetting, valueSetting } from './options.ts'
import { addPointOptions, readPointOptions } from './point-options.ts'
import { refuseTogether } from './settings.ts'
import { oneOf } from './values.ts'

const GROUP = 'Merge:'
const OPTIONS = {
  merge: switchSetting({
    flags: '--merge',
    description: 'put points into databases that the server has; nothing there is lost',
    group: GROUP,
  }),
  onConflict: valueSetting({
    flags: '--on-conflict <who>',
    description:
      'whose point stays where both have one: live, backup, or fill-gaps: live wherever it has the row (default: live)',
    parse: oneOf('backup', 'live', 'fill-gaps'),
    group: GROUP,
  }),
  allowWritePause: switchSetting({
    flags: '--allow-write-pause',
    description: 'upload into shards that still take writes too, which wait meanwhile',
    group: GROUP,
  }),
}

/** Adds `--merge` and what goes with it, a selection of points among them. */
export function addMergeOptions(command: Command): void {
  addSettings(command, OPTIONS)
  addTimeRangeOptions(command)
  addPointOptions(command)
}

/** Which points are restored or merged; all if nothing is said. */
export interface PointsWish {
  readonly range: ReturnType<typeof readExactRange>
  readonly series: ReturnType<typeof readPointOptions>
}

/** Reads which points are meant. */
export function readPointsWish(command: Command): PointsWish {
  return { range: readExactRange(command), series: readPointOptions(command) }
}

/** Who wins, and whether writers may have to wait. */
export interface MergeWish {
  readonly onConflict: OnConflict
  readonly allowWritePause: boolean
}

/**
 * Reads the options of {@link addMergeOptions}; undefined without `--merge`.
 * @throws SnapError `E_USAGE` for one of them without `--merge`, or one of a whole restore with it
 */
export function readMergeOptions(command: Command): MergeWish | undefined {
  const onConflict = OPTIONS.onConflict.read(command)
  const allowWritePause = OPTIONS.allowWritePause.read(command)
  if (OPTIONS.merge.read(command)) {
    refuseTogether(command, 'merge', ['salvage', 'resume', 'data-dir', 'influxdb-config'])
    return { onConflict: onConflict ?? 'live', allowWritePause }
  }
  if (onConflict === undefined && !allowWritePause) return undefined
  throw new SnapError('E_USAGE', '--on-conflict and --allow-write-pause go with --merge', {
    hint: 'without --merge databases are restored that are not there yet',
  })
}
