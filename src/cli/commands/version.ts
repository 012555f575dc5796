import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addGeneralOptions } from '../general-options.ts'
import { readPackageInfo } from '../package-info.ts'
import { runCommand } from '../run.ts'

/** What this build can do beyond its list of commands; scripts ask before they rely on it. */
const FEATURES = ['config-file', 'go-flags', 'json', 'named-targets'] as const

/** Defines `snap version`. */
export function defineVersion(program: Command, context: CliContext): void {
  const command = program.command('version').description('show the version and what it can do')
  addGeneralOptions(command)
  command.action(() =>
    runCommand(context, command, async () => {
      const { name, version } = readPackageInfo()
      const node = process.versions.node
      const platform = `${process.platform}-${process.arch}`
      const commands = program.commands.map((each) => each.name()).sort()
      return {
        document: { name, version, node, platform, commands, features: FEATURES },
        text: `snap ${version} (node ${node}, ${platform})`,
      }
    }),
  )
}
