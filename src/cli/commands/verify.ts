import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { ShardName } from '../../operations/inspect.ts'
import type { Verified, VerifiedSet } from '../../operations/verify.ts'
import type { ShardTimes, VerifyGap, VerifyProblem } from '../../operations/verify-findings.ts'
import { formatGoTime } from '../../protocol/go-time.ts'
import { addTransferOptions, readTransferOptions } from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatCount, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addIdentityOptions, readIdentities } from '../key-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { placeOf, runCommand } from '../run.ts'
import { setSetting } from '../set-option.ts'
import { addLockOptions, addStoreOptions, withStore } from '../store-options.ts'
import { parseDuration } from '../times.ts'
import { parsePercent, wholeNumber } from '../values.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Verify:'
const MAX_SEED = 2 ** 32
/** Shards without an archive that are named for people. */
const MAX_GAPS = 20
const OPTIONS = {
  set: setSetting({
    description: 'only this set: a name, latest, or the newest at a time (default: all)',
    group: GROUP,
  }),
  deep: switchSetting({
    flags: '--deep',
    description: 'decode every block, and compare the points with their fingerprints',
    group: GROUP,
  }),
  subset: valueSetting({
    flags: '--subset <percent>',
    description: 'read only a part of the archives, chosen at random (10%)',
    parse: parsePercent,
    group: GROUP,
  }),
  seed: valueSetting({
    flags: '--seed <n>',
    description: 'choose as an earlier run did that names this number',
    parse: wholeNumber(0, MAX_SEED - 1),
    group: GROUP,
  }),
  record: switchSetting({
    flags: '--no-record',
    description: 'do not note beside the sets that they were verified',
    group: GROUP,
  }),
  maxDuration: valueSetting({
    flags: '--max-duration <time>',
    description: 'begin no further archive after this time, and say what is left (1h)',
    parse: parseDuration,
    group: GROUP,
  }),
}

/** Defines `snap verify`. */
export function defineVerify(program: Command, context: CliContext): void {
  const command = program
    .command('verify')
    .description(
      'prove that backups are whole: hashes, gzip, tar, TSM indexes, the CRC of each block',
    )
    .argument('[SOURCE]', 'a directory with sets of snap or influxd, or a legacy backup')
  addSettings(command, OPTIONS)
  addTransferOptions(command)
  addStoreOptions(command)
  addLockOptions(command)
  addIdentityOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { jobs, tempDir = tmpdir() } = readTransferOptions(command)
      const choice = {
        deep: OPTIONS.deep.read(command),
        subset: OPTIONS.subset.read(command),
        seed: OPTIONS.seed.read(command) ?? randomInt(MAX_SEED),
        maxDuration: OPTIONS.maxDuration.read(command),
      }
      const isOne = command.getOptionValue('set') !== undefined
      const set = isOne ? (OPTIONS.set.read(command) ?? 'latest') : undefined
      const { verify } = await import('../../operations/verify.ts')
      const { recordVerify } = await import('../../operations/record-checks.ts')
      const identities = await readIdentities(command, { context, run })
      const options = { ...choice, set, identities, jobs, tempDir, progress: run.progress }
      return await withStore(command, { run, location: source, use: 'read' }, async (place) => {
        const result = await verify({ ...place, ...options })
        if (OPTIONS.record.read(command)) await recordVerify(result, { ...place, ...options })
        return report(result, { source, ...choice })
      })
    }),
  )
}

interface Request {
  readonly source: string
  readonly deep: boolean
  readonly subset: number | undefined
  readonly seed: number
  readonly maxDuration: number | undefined
}

function report(result: Verified, request: Request): CommandResult {
  const { sets, archives, complete, files, bytes, points, unfinished, leftOut } = result
  const { source, deep, subset, seed, maxDuration } = request
  const isRandom = subset !== undefined || maxDuration !== undefined
  const document = {
    ...{ source, deep, subset, ...(isRandom && { seed }), complete },
    sets: sets.map(({ set = null, ...rest }) => ({ set, ...rest })),
    ...{ archives, files, bytes, points },
    problems: result.problems.map(withTimes),
    gaps: result.gaps.map(withTimes),
    ...{ unfinished, leftOut },
  }
  return { document, summary: summaryOf(result, request), problem: problemOf(result, request) }
}

/** Replaces the times of a shard by text. */
function withTimes<T extends Pick<VerifyProblem, 'times'>>({ times, ...rest }: T) {
  return {
    ...rest,
    ...(times && { start: formatGoTime(times.start), end: formatGoTime(times.end) }),
  }
}

function summaryOf(result: Verified, { source, subset, seed, maxDuration }: Request): string {
  const { sets, archives, problems, gaps, unfinished, leftOut } = result
  const { total, verified, left } = archives
  const what = [
    formatNumberOf(verified, 'archive'),
    formatNumberOf(result.files, 'file'),
    ...(result.points === undefined ? [] : [formatNumberOf(result.points, 'value')]),
    formatBytes(result.bytes),
  ].join(', ')
  const [only] = sets
  const name =
    sets.length === 1 && only?.set ? `set ${only.set}` : formatNumberOf(sets.length, 'set')
  const isWhole = problems.length === 0
  const part = `${formatCount(verified)} of ${formatNumberOf(total, 'archive')} were read`
  const share = subset === undefined && maxDuration === undefined ? '' : ` (--seed ${seed})`
  return [
    `${name} in ${source}: ${isWhole ? `whole, ${what}` : formatNumberOf(problems.length, 'problem')}`,
    ...(result.complete ? [] : [`  ${part}${share}`]),
    ...sets.filter(({ onlyHashes }) => onlyHashes).map(hashesText),
    ...(left.length > 0 ? [`  no time for ${formatNumberOf(left.length, 'archive')}`] : []),
    ...problems.map(problemText),
    ...atMost(MAX_GAPS, gaps.filter(isTold).map(gapText)),
    ...unfinished.map((set) => `  set ${set} is not finished`),
    ...leftOut.map((file) => `  ${file.name} is not restored: ${file.reason}`),
  ]
    .map(printable)
    .join('\n')
}

function hashesText({ set }: VerifiedSet): string {
  return `  set ${set} is encrypted and no key was given that opens it: only the hashes of what is stored were compared`
}

function problemText({ message, shard, times }: VerifyProblem): string {
  const of = shard === undefined ? '' : `; shard ${describeShard(shard)}${timesText(times)}`
  return `  ${message}${of}`
}

function timesText(times: ShardTimes | undefined): string {
  return times ? `, ${formatGoTime(times.start)} to ${formatGoTime(times.end)}` : ''
}

function describeShard({ shardId, database, retentionPolicy }: ShardName): string {
  return `${shardId} (${database}.${retentionPolicy})`
}

/** A catalog says why a shard is not there; that is worth a line only if something is lost. */
function isTold({ lost, reason }: VerifyGap): boolean {
  return lost || reason === undefined
}

function gapText(gap: VerifyGap): string {
  const { set, reason = 'influxd does not say why', lost } = gap
  const what = lost ? 'could not be backed up' : 'has no archive'
  return `  shard ${describeShard(gap)}${timesText(gap.times)} ${what} in set ${set}: ${reason}`
}

function atMost(limit: number, lines: readonly string[]): readonly string[] {
  if (lines.length <= limit) return lines
  return [...lines.slice(0, limit), `  and ${formatNumberOf(lines.length - limit, 'more shard')}`]
}

function problemOf(
  { sets, problems, gaps }: Verified,
  { source, deep }: Request,
): SnapError | undefined {
  const [first] = problems
  if (first !== undefined) {
    const count = formatNumberOf(problems.length, 'problem')
    return new SnapError('E_INTEGRITY', `${source}: ${count}, the first: ${first.message}`, {
      hint: 'the result names every damaged file, its sets and its shard; other sets can be restored (--set)',
    })
  }
  const closed = sets.filter(({ onlyHashes }) => onlyHashes)
  if (deep && closed.length > 0) {
    const count = formatNumberOf(closed.length, 'encrypted set')
    return new SnapError(
      'E_KEY',
      `${source}: ${count} could not be opened, only compared by hash`,
      {
        hint: 'give the keys of all of them (--identity, --passphrase-file), or choose a set (--set)',
      },
    )
  }
  const lost = gaps.filter((gap) => gap.lost)
  if (lost.length === 0) return undefined
  const count = formatNumberOf(lost.length, 'shard')
  return new SnapError('E_INCOMPLETE', `${source}: ${count} could not be backed up`, {
    hint: 'the result names each and its set; newer sets may have them',
  })
}
