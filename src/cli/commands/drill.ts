import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { addChainOption, readChainOption } from '../chain-option.ts'
import {
  addSelectionOptions,
  addTransferOptions,
  readSelectionOptions,
  readTransferOptions,
  type SelectionOptions,
} from '../common-options.ts'
import type { CliContext } from '../context.ts'
import { drillReport } from '../drill-report.ts'
import { addGeneralOptions } from '../general-options.ts'
import { addIdentityOptions, withOpenedStore } from '../key-options.ts'
import { addSettings, switchSetting, valueSetting } from '../options.ts'
import { placeOf, runCommand } from '../run.ts'
import { LATEST, parseSet } from '../set-option.ts'
import { addLockOptions, addStoreOptions } from '../store-options.ts'
import { oneOf, parseText } from '../values.ts'
import { addWatchOptions } from '../watch-options.ts'

const GROUP = 'Drill:'
/** The word for any of the sets. */
const RANDOM = 'random'

const OPTIONS = {
  set: valueSetting({
    flags: '--set <set>',
    description: 'a set by name, latest, the newest at a time, or random (default: latest)',
    parse: (text, name) => (text === RANDOM ? RANDOM : parseSet(text, name)),
    group: GROUP,
  }),
  influxd: valueSetting({
    flags: '--influxd <path>',
    description: 'the influxd 1.x to restore into, or none (default: the first on PATH)',
    parse: parseText,
    group: GROUP,
  }),
  indexVersion: valueSetting({
    flags: '--index-version <version>',
    description: 'its index: inmem or tsi1',
    parse: oneOf('inmem', 'tsi1'),
    fallback: 'inmem',
    group: GROUP,
  }),
  record: switchSetting({
    flags: '--no-record',
    description: 'do not note beside the set that it was drilled',
    group: GROUP,
  }),
  keep: switchSetting({
    flags: '--keep',
    description: 'let stay what was restored, and say where it is',
    group: GROUP,
  }),
}

/** Defines `snap drill`. */
export function defineDrill(program: Command, context: CliContext): void {
  const command = program
    .command('drill')
    .description('restore a set into a scratch place, compare every point, tell how long it took')
    .argument('[SOURCE]', 'a directory with sets of snap or influxd, or a legacy backup')
  addSettings(command, OPTIONS)
  addSelectionOptions(command)
  addTransferOptions(command)
  addChainOption(command)
  addStoreOptions(command)
  addLockOptions(command)
  addIdentityOptions(command)
  addWatchOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { jobs, limitRate, tempDir = tmpdir() } = readTransferOptions(command)
      const set = OPTIONS.set.read(command)
      const random = set === RANDOM
      const isAny = random || set === LATEST
      const { drill } = await import('../../operations/drill.ts')
      const { recordDrill } = await import('../../operations/record-checks.ts')
      const where = { context, run, location: source, use: 'read' } as const
      return await withOpenedStore(command, where, async (place) => {
        const result = await drill({
          ...{ ...place, set: isAny ? undefined : set, random },
          ...{ jobs, limitRate, tempDir, env: context.env, progress: run.progress },
          chain: readChainOption(command),
          selection: readSelectionOptions(command),
          influxd: OPTIONS.influxd.read(command),
          indexVersion: OPTIONS.indexVersion.read(command),
          keep: OPTIONS.keep.read(command),
        })
        if (OPTIONS.record.read(command)) {
          const complete = isEverything(readSelectionOptions(command))
          await recordDrill(result, { ...place, progress: run.progress, complete })
        }
        return drillReport(result, source)
      })
    }),
  )
}

function isEverything({ databases, retentionPolicy, shards }: SelectionOptions): boolean {
  return databases.length + shards.length === 0 && retentionPolicy === undefined
}
