import type { Command } from 'commander'
import type { ChainChoice } from '../operations/stock-chain.ts'
import { addSettings, valueSetting } from './options.ts'
import { oneOf } from './values.ts'

const OPTIONS = {
  chain: valueSetting({
    flags: '--chain <how>',
    description:
      'sets of influxd -since, -start and -end: union of them, or the newest alone (default: by what is in them)',
    parse: oneOf('union', 'newest'),
    group: 'Sets of influxd:',
  }),
}

/** Adds `--chain`. */
export function addChainOption(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Reads `--chain`; undefined if what is in the sets is to decide. */
export function readChainOption(command: Command): ChainChoice | undefined {
  return OPTIONS.chain.read(command)
}
