import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import { type Candidate, completeWords, type Lookups } from '../completion.ts'
import { SCRIPTS, SHELLS } from '../completion-scripts.ts'
import type { CliContext } from '../context.ts'
import { printable } from '../format.ts'
import { addGeneralOptions } from '../general-options.ts'
import { runCommand } from '../run.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'

/** Nobody waits longer for a word, in ms. */
const PATIENCE_MS = 3000

/** Defines `snap completion`. */
export function defineCompletion(program: Command, context: CliContext): void {
  const command = program
    .command('completion')
    .description('print the script that makes bash, zsh or fish complete the words of snap')
    .argument('[SHELL]', 'bash, zsh or fish')
    .argument('[WORD...]', 'only for the scripts, which ask with the word "words" as SHELL')
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((shell: string | undefined, words: readonly string[]) =>
    runCommand(context, command, async ({ signal }) => {
      if (shell === 'words') {
        const within = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
        const found = await completeWords(program, words, lookupsOf(command, within))
        return { document: { words: found }, text: found.map(lineOf).join('\n'), verbatim: true }
      }
      const name = SHELLS.find((each) => each === shell)
      if (name === undefined || words.length > 0) {
        throw new SnapError('E_USAGE', `expected one of ${SHELLS.join(', ')}, and nothing else`, {
          hint: 'for bash: source <(snap completion bash)',
        })
      }
      const script = SCRIPTS[name]
      return { document: { shell: name, script }, text: script.trimEnd(), verbatim: true }
    }),
  )
}

function lineOf({ word, about }: Candidate): string {
  return printable(word) + (about === undefined ? '' : `\t${printable(about)}`)
}

/** What cannot be looked up has no candidates. */
function lookupsOf(command: Command, signal: AbortSignal): Lookups {
  const look =
    (name: 'setNames' | 'newestDatabases') =>
    async (location: string): Promise<readonly string[]> => {
      try {
        const operations = await import('../../operations/completions.ts')
        return await operations[name](await openStoreAt(command, location), signal)
      } catch {
        return []
      }
    }
  return { sets: look('setNames'), databases: look('newestDatabases') }
}
