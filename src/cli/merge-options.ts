import { join } from 'node:path'
import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import type { OnConflict } from '../operations/merge-look.ts'
import type { ReplaceWish } from '../operations/replace-check.ts'
import { addTimeRangeOptions, readExactRange } from './common-options.ts'
import type { CliContext } from './context.ts'
import { addSettings, listSetting, switchSetting, valueSetting } from './options.ts'
import { readPackageInfo } from './package-info.ts'
import { addPointOptions, readPointOptions } from './point-options.ts'
import { isOnLine, refuseTogether } from './settings.ts'
import { stateDirectory } from './state-directory.ts'
import { oneOf, parseShardId, parseText } from './values.ts'

const GROUP = 'Merge:'
const OPTIONS = {
  merge: switchSetting({
    flags: '--merge',
    description: 'put points into databases that are there; nothing in them is lost',
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
  replaceShard: listSetting({
    flags: '--replace-shard <id>',
    description:
      'drop this shard of the server and make it anew, of the backup and of what it had; its time has to be over',
    parse: parseShardId,
    group: GROUP,
  }),
  replacedDir: valueSetting({
    flags: '--replaced-dir <dir>',
    description: 'where shards are kept until they are made anew (default: the state directory)',
    parse: parseText,
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
  readonly replace: ReplaceWish
}

/**
 * Reads the options of {@link addMergeOptions}; undefined without `--merge`.
 * @throws SnapError `E_USAGE` for one of them without `--merge`, or one of a whole restore with it
 */
export function readMergeOptions(command: Command, env: CliContext['env']): MergeWish | undefined {
  const onConflict = OPTIONS.onConflict.read(command)
  const allowWritePause = OPTIONS.allowWritePause.read(command)
  const shards = [...new Set(OPTIONS.replaceShard.read(command))]
  const replacedDir = OPTIONS.replacedDir.read(command)
  if (isOnLine(command, 'replaced-dir') && shards.length === 0) {
    throw new SnapError('E_USAGE', '--replaced-dir goes with --replace-shard')
  }
  if (!OPTIONS.merge.read(command)) {
    if (onConflict === undefined && !allowWritePause && shards.length === 0) return undefined
    throw new SnapError(
      'E_USAGE',
      '--on-conflict, --allow-write-pause and --replace-shard go with --merge',
      { hint: 'without --merge databases are restored that are not there yet' },
    )
  }
  refuseTogether(command, 'merge', ['salvage', 'resume'])
  refuseTogether(command, 'replace-shard', ['data-dir', 'influxdb-config'])
  if (shards.length > 0 && onConflict !== 'backup') {
    throw new SnapError('E_USAGE', '--replace-shard goes with --on-conflict backup', {
      hint: 'what a live shard has needs no new shard to stay',
    })
  }
  const keepIn = replacedDir ?? join(stateDirectory(env), 'replaced')
  const { version } = readPackageInfo()
  const replace = { shards, keepIn, version }
  return { onConflict: onConflict ?? 'live', allowWritePause, replace }
}
