import type { Command } from 'commander'
import { SnapError } from '../../errors.ts'
import type { Report } from '../../operations/report-data.ts'
import type { CliContext } from '../context.ts'
import { formatBytes, formatNumberOf } from '../format.ts'
import { addGeneralOptions, readOutputMode } from '../general-options.ts'
import { addKeepOptions, readKeepOptions } from '../keep-options.ts'
import { addSettings, valueSetting } from '../options.ts'
import { readPackageInfo } from '../package-info.ts'
import { placeOf, runCommand } from '../run.ts'
import { setDocument } from '../set-state.ts'
import { addStoreOptions, openStoreAt } from '../store-options.ts'
import { parseDuration } from '../times.ts'
import { parseText } from '../values.ts'

const GROUP = 'Report:'
const OPTIONS = {
  output: valueSetting({
    flags: '-o, --output <file>',
    description: 'the page to write, replacing an older one; - is standard output',
    parse: parseText,
    group: GROUP,
  }),
  title: valueSetting({
    flags: '--title <text>',
    description: 'heading of the page',
    parse: parseText,
    fallback: 'InfluxDB backups',
    group: GROUP,
  }),
  checkedWithin: valueSetting({
    flags: '--checked-within <time>',
    description: 'how old the last verification and drill may be before it is said',
    parse: parseDuration,
    fallback: '30d',
    group: GROUP,
  }),
}

const STDOUT = '-'
/** The page is there to be read by others, and holds no secret. */
const MODE = 0o644

/** Defines `snap report`. */
export function defineReport(program: Command, context: CliContext): void {
  const command = program
    .command('report')
    .description('write a page on a target: coverage, growth, durations, checks, what stands out')
    .argument('[SOURCE]', 'a directory or s3://bucket/prefix with sets of snap or influxd')
  addSettings(command, OPTIONS)
  addKeepOptions(command)
  addStoreOptions(command)
  addGeneralOptions(command)
  command.action((value: string | undefined) =>
    runCommand(context, command, async (run) => {
      const source = placeOf(run, { name: 'SOURCE', value })
      const { json } = readOutputMode(command, context)
      const output = outputOf(OPTIONS.output.read(command), json)
      const { report } = await import('../../operations/report.ts')
      const { hasRule } = await import('../../operations/retention.ts')
      const rules = readKeepOptions(command)
      const found = await report({
        ...{ store: await openStoreAt(command, source), now: new Date() },
        ...{ progress: run.progress, signal: run.signal },
        checkedWithin: OPTIONS.checkedWithin.read(command),
        retention: hasRule(rules.keep) ? rules : undefined,
      })
      const document = { ...documentOf(found, source), output: output ?? null }
      if (output === undefined) return { document }
      const page = await pageOf(found, OPTIONS.title.read(command))
      if (output === STDOUT) return { document, text: page }
      await write(output, page, run.signal)
      return { document, summary: summaryOf(found, output, page) }
    }),
  )
}

/** Where the page goes. Undefined: nowhere, only the JSON is wanted. */
function outputOf(output: string | undefined, json: boolean): string | undefined {
  if (output === undefined && !json) {
    throw new SnapError('E_USAGE', 'missing -o FILE.html', {
      hint: '-o FILE.html writes the page into a file, -o - to standard output; --json prints the same as data',
    })
  }
  if (output !== STDOUT || !json) return output
  throw new SnapError('E_USAGE', '--json and -o - cannot both have standard output', {
    hint: 'write the page into a file, or leave --json out',
  })
}

async function pageOf(found: Report, title: string): Promise<string> {
  const { reportPage } = await import('../report/page.ts')
  const { name, version } = readPackageInfo()
  return reportPage(found, { title, generator: `${name} ${version}` })
}

async function write(path: string, page: string, signal: AbortSignal): Promise<void> {
  const { writeFileDurably } = await import('../../io/durable.ts')
  const { expectReplaceable } = await import('../../io/replaceable.ts')
  await expectReplaceable(path, 'name a file, or - for standard output')
  await writeFileDurably(path, Buffer.from(page), { mode: MODE, signal })
}

function documentOf({ sets, ...found }: Report, source: string) {
  return { ...found, source, sets: sets.map(setDocument) }
}

function summaryOf({ anomalies, sets }: Report, output: string, page: string): string {
  const size = formatBytes(Buffer.byteLength(page))
  const critical = anomalies.filter(({ severity }) => severity === 'critical').length
  const found = anomalies.length === 0 ? 'nothing stands out' : `${anomalies.length} to look at`
  const worst = critical > 0 ? `, ${critical} of them critical` : ''
  return `${formatNumberOf(sets.length, 'set')}: ${found}${worst}; wrote ${output}, ${size}`
}
