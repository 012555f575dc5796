import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { VerifiedSet } from '../../operations/verify.ts'
import { addTransferOptions, readTransferOptions } from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings } from '../options.ts'
import type { CommandResult } from '../output.ts'
import { placeOf, runCommand } from '../run.ts'
import { setSetting } from '../set-option.ts'

const OPTIONS = {
  set: setSetting({
    description: 'a set by name, latest, or the newest at a time (default: latest)',
    group: 'Verify:',
  }),
}

/** Defines `snap verify`. */
export function defineVerify(program: Command, context: CliContext): void {
  const command = program
    .command('verify')
    .description(
      'prove that a backup is whole: hashes, gzip, tar, TSM indexes, the CRC of each block',
    )
    .argument('[SOURCE]', 'a directory with sets of snap or influxd, or a legacy backup')
  addSettings(command, OPTIONS)
  addTransferOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { jobs, tempDir = tmpdir() } = readTransferOptions(command)
      const { verify } = await import('../../operations/verify.ts')
      const { openStore } = await import('../../operations/open-store.ts')
      const { progress, signal } = run
      const set = OPTIONS.set.read(command)
      return report(
        await verify({ store: openStore(source), set, jobs, tempDir, progress, signal }),
        source,
      )
    }),
  )
}

function report(result: VerifiedSet, source: string): CommandResult {
  const { set, kind, shards, files, bytes, problems, lost } = result
  const name = set === undefined ? source : `set ${set} in ${source}`
  const what = `${formatNumberOf(shards, 'shard')}, ${formatNumberOf(files, 'file')}, ${formatBytes(bytes)}`
  const lines = [
    problems.length === 0 ? `${name} is whole: ${what}` : `${name} is damaged`,
    ...problems.map(({ message }) => `  ${message}`),
    ...lost.map(({ shardId, reason }) => `  shard ${shardId} was not backed up: ${reason}`),
  ]
  return {
    document: { source, set: set ?? null, kind, shards, files, bytes, problems, lost },
    summary: lines.map(printable).join('\n'),
    problem: problemOf(result, name),
  }
}

function problemOf({ problems, lost }: VerifiedSet, name: string): SnapError | undefined {
  const [first] = problems
  if (first !== undefined) {
    const count = formatNumberOf(problems.length, 'problem')
    return new SnapError('E_INTEGRITY', `${name}: ${count}, the first: ${first.message}`, {
      hint: 'do not rely on this set; `snap list` shows the others, --set verifies one of them',
    })
  }
  if (lost.length === 0) return undefined
  const count = formatNumberOf(lost.length, 'shard')
  return new SnapError('E_INCOMPLETE', `${name}: ${count} could not be backed up into it`, {
    hint: 'the result names each; run the backup again once the cause is gone',
  })
}
