import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findAge } from './helpers/age-binary.ts'
import { OWNER } from './helpers/ceph.ts'
import {
  type Example,
  examplesIn,
  makeSampleData,
  makeSandbox,
  NOT_REAL,
  type Sandbox,
  type SandboxServers,
} from './helpers/examples.ts'
import { startReceiver } from './helpers/http-receiver.ts'
import { describeWithInfluxd, startInfluxd } from './helpers/influxd.ts'
import { findInfluxd } from './helpers/influxd-binary.ts'
import { describeWithS3, newBucket, s3Client, sharedCeph } from './helpers/s3.ts'
import { startServe } from './helpers/serve.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

/** Not run, and why. Programs that do nothing in a sandbox are listed with it. */
const NOT_RUN: ReadonlyMap<RegExp, string> = new Map([
  [/^npm (?:ci|install|test)\b/, 'installs packages, or runs the tests themselves'],
  [/^(?:node scripts\/build-deb\.mjs|sudo apt install)\b/, 'has a test of its own, deb.test.ts'],
  [/^docker /, 'no containers in tests; those steps have a test of their own'],
  [/^npm run demo\b/, 'has a test of its own, demo.test.ts'],
  [/^npm run (?:bench|build|format)\b/, 'measures for minutes, or changes the checkout'],
])

/** Blocks that another test runs: page, language, and that test. */
const RUN_ELSEWHERE: readonly (readonly [page: string, language: string, test: string])[] = [
  ['docs/security.md', 'bash', 'test/interop/tls.test.ts'],
  ['docs/cron.md', 'cron', 'test/cli/cron.test.ts'],
  ['docs/serve.md', 'ini', 'test/cli/cron.test.ts'],
  ['docs/recovery.md', 'sh', 'test/interop/recovery.test.ts'],
]

/** Languages of blocks that hold no commands of ours. */
const NO_COMMANDS = ['json', 'sql', 'text', 'ts', 'yaml']

/** Shells that run their blocks if they are there. */
const SHELLS = ['fish', 'zsh']
const RUN_HERE = ['sh', 'console', 'crontab', 'toml', ...SHELLS]

/** What needs an influxd, or its HTTP API, on the other side. */
const NEEDS_INFLUXD = /\binfluxd (?:backup|restore)\b/
const NEEDS_HTTP = /--merge\b|--http\b/
const NEEDS_AGE = /\bage(?:-keygen)? /
const NEEDS_S3 = /s3:\/\//

/** Twenty commands in a row, on a machine that runs other tests as well, ms. */
const TIMEOUT = 120_000

/** Every page, by its path from the root of the project, and the blocks of each. */
const PAGES = new Map<string, string>()
const docs = await readdir(join(ROOT, 'docs'), { recursive: true })
for (const name of [
  'README.md',
  'CONTRIBUTING.md',
  ...docs.map((path) => posix.join('docs', path)),
]) {
  if (name.endsWith('.md')) PAGES.set(name, await readFile(join(ROOT, name), 'utf8'))
}
const BLOCKS = new Map([...PAGES].map(([name, page]) => [name, examplesIn(page)]))

/** Pages whose commands are run here. */
const RUN = [...BLOCKS].flatMap(([page, blocks]) =>
  blocks.some((block) => isRun(block) && !isRunElsewhere(page, block)) ? [page] : [],
)

function isRun({ language, text }: Example): boolean {
  if (!RUN_HERE.includes(language)) return false
  const lines = text.split('\n').filter((line) => line !== '')
  return language !== 'sh' || !lines.every((line) => reasonNotToRun(line) !== undefined)
}

function isRunElsewhere(page: string, { language }: Example): boolean {
  return RUN_ELSEWHERE.some(([name, of]) => name === page && of === language)
}

function reasonNotToRun(line: string): string | undefined {
  return [...NOT_RUN].find(([pattern]) => pattern.test(line))?.[1]
}

/** The commands of a crontab, without the times. */
function commandsOf(crontab: string): string {
  const lines = crontab
    .split('\n')
    .filter((line) => line !== '' && !/^(?:#|MAILTO=|PATH=)/.test(line))
  const commands = lines.map((line) =>
    line.replace(/^(?:[\d*/,-]+ +){5}/, '').replaceAll('\\%', '%'),
  )
  return ['set -a', ...commands].join('\n')
}

/** What the servers of a sandbox can be asked for. */
interface Abilities {
  readonly http: boolean
  readonly s3: boolean
}

function isAnswered({ text }: Example, { http, s3 }: Abilities): boolean {
  return (http || !NEEDS_HTTP.test(text)) && (s3 || !NEEDS_S3.test(text))
}

function hasPrograms({ text }: Example): boolean {
  if (NEEDS_INFLUXD.test(text) && findInfluxd() === undefined) return false
  return !NEEDS_AGE.test(text) || findAge() !== undefined
}

/** Expects a script to end with 0. */
async function runScript({ language, text }: Example, sandbox: Sandbox): Promise<void> {
  if (language === 'toml') return await sandbox.write(text)
  const quoted = `'${text.replaceAll("'", "'\\''")}'`
  const script = SHELLS.includes(language)
    ? `! command -v ${language} > /dev/null || ${language} -c ${quoted}`
    : language === 'crontab'
      ? commandsOf(text)
      : text
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
        .replace(/^(check: \d+ shards), .*/, '$1, N')
        .replace(/[\d.]+ \w+ {2}(?=not checked)/, 'N  '),
    )
    .sort()
}

interface PageRun extends Abilities {
  /** Whether transcripts are to be as shown. */
  readonly compare: boolean
}

/** Runs the examples of a page from top to bottom. */
async function runPage(name: string, sandbox: Sandbox, how: PageRun): Promise<void> {
  await sandbox.run('snap backup --quiet /backup/influx')
  for (const example of BLOCKS.get(name) ?? []) {
    if (!isRun(example) || !isAnswered(example, how) || !hasPrograms(example)) continue
    if (example.language === 'console') await runTranscript(example, sandbox, how.compare)
    else await runScript(example, sandbox)
  }
}

/** Runs a page over two `snap serve`, the first of the sample data. */
async function runServed(name: string, s3?: SandboxServers['s3']): Promise<void> {
  const dir = await tempDir('docs')
  const receiver = (await startReceiver(() => 204)).url
  await makeSampleData(join(dir, 'lib'))
  const options = ['--mode', 'read-write', '--influxd-is-stopped', '--data-dir']
  const served = await startServe([...options, join(dir, 'lib/data')])
  const other = await startServe([...options, join(dir, 'other/data')])
  const servers = { host: served.host, otherHost: other.host, receiver, ...(s3 && { s3 }) }
  const sandbox = await makeSandbox(dir, servers)
  await runPage(name, sandbox, { compare: true, http: false, s3: s3 !== undefined })
  expect((await served.stop()).code).toBe(0)
  expect((await other.stop()).code).toBe(0)
}

/** Pages about what works on a real influxd with either index. */
const TO_EITHER = ['restore', 'merge', 'diff', 'export', 'migrate'].map((name) => `docs/${name}.md`)
/** The same, and others about a server with its HTTP API, or that show both programs. */
const TO_SERVERS = ['README.md', 'docs/getting-started.md', 'docs/backup.md', ...TO_EITHER]
const TO_BUCKETS = ['docs/s3.md', 'docs/nightly.md']
const NOTHING = { http: false, s3: false }
const TO_SERVED = RUN.filter((name) =>
  BLOCKS.get(name)?.some((block) => isRun(block) && isAnswered(block, NOTHING)),
).filter((name) => !TO_BUCKETS.includes(name))

/** Which pages are run in which sandboxes. */
const SANDBOXES: readonly (readonly [pages: readonly string[], abilities: Abilities])[] = [
  [TO_SERVED, NOTHING],
  [TO_SERVERS, { http: true, s3: false }],
  [TO_BUCKETS, { http: false, s3: true }],
]

describe('the examples', () => {
  it.each(TO_SERVED)('of %s work as they stand', (name) => runServed(name), TIMEOUT)
})

/** Says of the shards of a data directory that their index is one of tsi1: influxd builds it when it starts. */
async function makeIndexes(data: string): Promise<void> {
  for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
    const isShard = entry.isDirectory() && /^\d+$/.test(entry.name)
    if (isShard) await mkdir(join(entry.parentPath, entry.name, 'index'), { recursive: true })
  }
}

describeWithInfluxd('the examples, against influxd', () => {
  it.each([
    ...TO_SERVERS.map((name) => [name, 'inmem'] as const),
    ...TO_EITHER.map((name) => [name, 'tsi1'] as const),
  ])(
    'of %s work as they stand, with %s',
    async (name, indexVersion) => {
      const dir = await tempDir('docs')
      const receiver = (await startReceiver(() => 204)).url
      await makeSampleData(join(dir, 'lib'))
      if (indexVersion === 'tsi1') await makeIndexes(join(dir, 'lib/data'))
      const server = await startInfluxd({ dir: join(dir, 'lib'), indexVersion })
      const other = await startInfluxd({ indexVersion })
      try {
        const http = { http: server.httpUrl, otherHttp: other.httpUrl }
        const servers = { host: server.host, otherHost: other.host, receiver, ...http }
        await runPage(name, await makeSandbox(dir, servers), {
          ...{ compare: false, http: true, s3: false },
        })
      } finally {
        await server.dispose()
        await other.dispose()
      }
    },
    TIMEOUT,
  )
})

describeWithS3('the examples, in buckets', () => {
  it.each(TO_BUCKETS)(
    'of %s work as they stand',
    async (name) => {
      const ceph = await sharedCeph()
      const s3 = s3Client(ceph)
      const [bucket, second] = [await newBucket(s3), await newBucket(s3)]
      const env = {
        AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
        AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
        AWS_DISABLE_NODE_VERSION_WARNING: '1',
      }
      const places = {
        's3://backups': `s3://${bucket}`,
        's3://offsite': `s3://${second}`,
        'https://s3.example.net': ceph.endpoint,
      }
      await runServed(name, { places, env: { ...env, INFLUX_SNAP_S3_ENDPOINT: ceph.endpoint } })
    },
    TIMEOUT,
  )
})

describe('every block of the pages', () => {
  const all = [...BLOCKS].flatMap(([page, blocks]) => blocks.map((block) => ({ page, ...block })))

  it('has a language that says whether it is run', () => {
    const known = [...RUN_HERE, ...NO_COMMANDS]
    const unknown = all.filter(
      (block) => !known.includes(block.language) && !isRunElsewhere(block.page, block),
    )
    expect(unknown.map(({ page, line }) => `${page}:${line}`)).toEqual([])
  })

  it('that is run elsewhere is read by that test', async () => {
    for (const [page, , test] of RUN_ELSEWHERE) {
      expect(await readFile(join(ROOT, test), 'utf8'), test).toContain(page)
    }
  })

  it('that holds commands is fenced, so that they are run', () => {
    const command =
      /^ {4,}(?:\$ |sudo |[A-Z_]+=\S+ )*(?:snap|influx-snap|influxd|influx|npm|node|cp|ssh|source|systemctl|docker|age|openssl) .*$/gm
    const indented = [...PAGES].flatMap(([name, page]) => {
      const outside = page.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '')
      return (outside.match(command) ?? []).map((line) => `${name}: ${line}`)
    })
    expect(indented).toEqual([])
  })

  it('can be run in one of the sandboxes', () => {
    const isReached = (page: string, block: Example) =>
      SANDBOXES.some(([pages, abilities]) => pages.includes(page) && isAnswered(block, abilities))
    const ours = all.filter((block) => isRun(block) && !isRunElsewhere(block.page, block))
    const never = ours.filter((block) => !isReached(block.page, block))
    expect(never.map(({ page, line }) => `${page}:${line}`)).toEqual([])
  })

  it('uses each of the exceptions', () => {
    const lines = all.flatMap(({ text }) => text.split('\n'))
    const unused = [...NOT_RUN.keys()].filter(
      (pattern) => !lines.some((line) => pattern.test(line)),
    )
    expect(unused).toEqual([])
    const idle = Object.keys(NOT_REAL).filter((name) => !lines.some((line) => line.includes(name)))
    expect(idle).toEqual([])
  })
})
