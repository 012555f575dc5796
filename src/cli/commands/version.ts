import type { Command } from 'commander'
import type { CliContext } from '../context.ts'
import { addGeneralOptions } from '../general-options.ts'
import { type BuildInfo, readBuildInfo, readPackageInfo } from '../package-info.ts'
import { runCommand } from '../run.ts'

/** What this build can do beyond its list of commands; scripts ask before they rely on it. */
const FEATURES = [
  'config-file',
  'encryption',
  'go-flags',
  'incremental',
  'json',
  'locks',
  'merge',
  'metrics',
  'named-targets',
  'parquet',
  's3',
  'tls',
] as const

/** As people name a commit. */
const SHORT_COMMIT = 10

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
      const build = readBuildInfo()
      return {
        document: { name, version, build, node, platform, commands, features: FEATURES },
        text: `snap ${version} (${buildText(build)}node ${node}, ${platform})`,
      }
    }),
  )
}

function buildText(build: BuildInfo | undefined): string {
  if (build === undefined) return ''
  return `commit ${build.commit.slice(0, SHORT_COMMIT)}${build.modified ? ', modified' : ''}, `
}
