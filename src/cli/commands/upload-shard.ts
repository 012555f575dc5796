import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import {
  addConnectionOptions,
  addTransferOptions,
  readConnectionOptions,
  readTransferOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf, printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import { placeOf, runCommand } from '../run.ts'
import { readHostPlace } from '../server-place.ts'
import { parseShardId, parseText } from '../values.ts'

const GROUP = 'Upload:'
const OPTIONS = {
  shard: valueSetting({
    flags: '--shard <id>',
    description: 'the shard in the archive (default: what the archive says)',
    parse: parseShardId,
    group: GROUP,
  }),
  toShard: valueSetting({
    flags: '--to-shard <id>',
    description: 'the shard on the server, as update-meta printed it (default: the same id)',
    parse: parseShardId,
    group: GROUP,
  }),
  newDatabase: valueSetting({
    flags: '--newdb <name>',
    description: "the database of the server's shard (default: that of the archive)",
    parse: parseText,
    group: GROUP,
  }),
  newRetentionPolicy: valueSetting({
    flags: '--newrp <name>',
    description: "the policy of the server's shard (default: that of the archive)",
    parse: parseText,
    group: GROUP,
  }),
  readBack: switchSetting({
    flags: '--no-readback',
    description: 'do not read the shard back and compare it',
    group: GROUP,
  }),
  dryRun: switchSetting({
    flags: '--dry-run',
    description: 'check everything and say what would be uploaded',
    group: GROUP,
  }),
}

/** Defines `snap upload-shard`. */
export function defineUploadShard(program: Command, context: CliContext): void {
  const command = program
    .command('upload-shard')
    .description('upload the archive of one shard into a shard that the server has')
    .argument('[ARCHIVE]', 'a .tar or .tar.gz file of one shard')
  addConnectionOptions(command)
  addSettings(command, OPTIONS)
  addTransferOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async ({ progress, signal, ...run }) => {
      const path = placeOf({ progress, signal, ...run }, { name: 'ARCHIVE', value })
      const shardId = OPTIONS.shard.read(command)
      const newShardId = OPTIONS.toShard.read(command) ?? shardId
      if (newShardId === undefined) {
        throw new SnapError('E_USAGE', 'missing --to-shard', {
          hint: 'name the shard on the server; snap update-meta prints the ids',
        })
      }
      const dryRun = OPTIONS.dryRun.read(command)
      const { limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const { uploadArchive } = await import('../../operations/upload-archive.ts')
      const { openServer } = await import('../../operations/server.ts')
      const server = await openServer(readHostPlace(command, context))
      const { from, to, files, bytes } = await uploadArchive({
        ...{ server, path, shardId, newShardId, limitRate, tempDir, dryRun, progress, signal },
        newDatabase: OPTIONS.newDatabase.read(command),
        newRetentionPolicy: OPTIONS.newRetentionPolicy.read(command),
        readBack: OPTIONS.readBack.read(command),
        attempts: readConnectionOptions(command).retries + 1,
      })
      const what = `${formatNumberOf(files, 'file')}, ${formatBytes(bytes)}`
      const place = `shard ${to.shardId} of ${to.database}.${to.retentionPolicy} on ${server.name}`
      return {
        document: { target: server.name, dryRun, from, to, files, bytes },
        summary: printable(`${dryRun ? 'would upload' : 'uploaded'} ${what}, into ${place}`),
      }
    }),
  )
}
