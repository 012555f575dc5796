import { readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type Example,
  examplesIn,
  makeSampleData,
  makeSandbox,
  type Sandbox,
} from './helpers/examples.ts'
import { describeWithInfluxd, startInfluxd } from './helpers/influxd.ts'
import { findInfluxd } from './helpers/influxd-binary.ts'
import { startServe } from './helpers/serve.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

/** Not run here: it installs, or runs the demo and the tests themselves, which have tests of their own. */
const NOT_HERE = /^npm /

/** Twenty commands in a row, on a machine that runs other tests as well, ms. */
const TIMEOUT = 120_000

/** The examples of every page, by its path from the root of the project. */
const EXAMPLES = new Map<string, readonly Example[]>()
const docs = await readdir(join(ROOT, 'docs'), { recursive: true })
for (const name of ['README.md', ...docs.map((path) => posix.join('docs', path))]) {
  if (!name.endsWith('.md')) continue
  const examples = examplesIn(await readFile(join(ROOT, name), 'utf8')).filter(isRun)
  if (examples.length > 0) EXAMPLES.set(name, examples)
}

function isRun({ language, text }: Example): boolean {
  if (language === 'console' || language === 'crontab') return true
  return language === 'sh' && !text.split('\n').every((line) => line === '' || NOT_HERE.test(line))
}

/** The commands of a crontab, without the times. */
function commandsOf(crontab: string): string {
  const lines = crontab.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => line.replace(/^(?:\S+ +){5}/, '').replaceAll('\\%', '%')).join('\n')
}

/** Expects a script to end with 0. */
async function runScript({ language, text }: Example, sandbox: Sandbox): Promise<void> {
  if (/\binfluxd (?:backup|restore)\b/.test(text) && findInfluxd() === undefined) return
  const script = language === 'crontab' ? commandsOf(text) : text
  const { code, stdout } = await sandbox.run(script)
  expect(code, `${script}\n${stdout}`).toBe(0)
}

/** Runs the commands of a transcript and expects what it shows. */
async function runTranscript({ text }: Example, sandbox: Sandbox, compare: boolean): Promise<void> {
  for (const part of text.split(/^\$ /m).slice(1)) {
    const [command = '', ...shown] = part.trimEnd().split('\n')
    const { stdout } = await sandbox.run(`${command} || true`)
    if (compare) expect(alike(stdout.trimEnd().split('\n')), command).toEqual(alike(shown))
  }
}

/** Lines without what differs from run to run: names of sets, times, stored sizes, the order of shards. */
function alike(lines: readonly string[]): string[] {
  return lines
    .map((line) =>
      line
        .replaceAll(/\d{8}T\d{6}Z/g, 'SET')
        .replace(/^\[\d+\//, '[n/')
        .replace(/ in [\d.]+m?s \([^)]*\)/, ' in T')
        .replace(/[\d.]+ \w+ stored/, 'N stored')
        .replace(/[\d.]+ \w+ {2}(?=not checked)/, 'N  '),
    )
    .sort()
}

/** Runs the examples of a page from top to bottom. */
async function runPage(name: string, sandbox: Sandbox, compare: boolean): Promise<void> {
  await sandbox.run('snap backup --quiet /backup/influx')
  for (const example of EXAMPLES.get(name) ?? []) {
    if (example.language === 'console') await runTranscript(example, sandbox, compare)
    else await runScript(example, sandbox)
  }
}

describe('the examples', () => {
  it.each([...EXAMPLES.keys()])(
    'of %s work as they stand',
    async (name) => {
      const dir = await tempDir('docs')
      await makeSampleData(join(dir, 'lib'))
      const options = ['--mode', 'read-write', '--influxd-is-stopped', '--data-dir']
      const served = await startServe([...options, join(dir, 'lib/data')])
      const other = await startServe([...options, join(dir, 'other/data')])
      await runPage(
        name,
        await makeSandbox(dir, { host: served.host, otherHost: other.host }),
        true,
      )
      expect((await served.stop()).code).toBe(0)
      expect((await other.stop()).code).toBe(0)
    },
    TIMEOUT,
  )
})

/** Pages whose examples back up a server and restore to one. */
const TO_SERVERS = ['docs/getting-started.md', 'docs/backup.md', 'docs/restore.md']

describeWithInfluxd('the examples, against influxd', () => {
  it.each(TO_SERVERS)(
    'of %s work as they stand',
    async (name) => {
      const dir = await tempDir('docs')
      await makeSampleData(join(dir, 'lib'))
      const server = await startInfluxd({ dir: join(dir, 'lib') })
      const other = await startInfluxd()
      try {
        const servers = { host: server.host, otherHost: other.host }
        await runPage(name, await makeSandbox(dir, servers), false)
      } finally {
        await server.dispose()
        await other.dispose()
      }
    },
    TIMEOUT,
  )
})
