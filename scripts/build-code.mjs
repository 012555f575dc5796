// Runs commands on sample data and keeps the code that V8 makes of the bundle meanwhile, as src/cli/code-cache.ts has it.
//
//   node scripts/build-code.mjs           all of COMMANDS
//   node scripts/build-code.mjs list DIR  one command, whose code is added to what is kept already
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openProgram } from '../dist/cli/code-cache.js'

const KEEPING = fileURLToPath(import.meta.url)
const PROGRAM = fileURLToPath(new URL('../bin/snap.js', import.meta.url))
const FOLDER = fileURLToPath(new URL('../dist/program', import.meta.url))
const DEADLINE_MS = 60_000
const DAY = '--start 2024-06-01T00:00:00Z --end 2024-06-01T23:59:59Z'
/** A first night and others, and what is done with backups. */
const COMMANDS = [
  'backup --incremental --host HOST sets',
  'backup --incremental --host HOST sets',
  'backup --data-dir influx/data --compression none --quiet directory',
  'verify --deep sets',
  'restore --data-dir restored/data --influxd-is-stopped sets',
  'diff sets --data-dir restored/data',
  `export --from sets --format lp ${DAY} day.lp`,
  `export --data-dir influx/data ${DAY} day`,
  'copy sets copied',
  'list copied',
  'prune --keep-last 1 copied',
  'list s3://bucket/sets --s3-endpoint HTTP',
  'backup --incremental --host HOST --http HTTP sets',
]
/** As InfluxDB says it. */
const ANSWER = '{"results":[{"series":[{"columns":["name"],"values":[["telegraf"]]}]}]}'

const words = process.argv.slice(2)
if (words.length > 0) {
  const program = openProgram(FOLDER)
  process.on('exit', program.saveCode)
  await program.load('main.cjs').main()
} else if (existsSync(FOLDER)) {
  await runAll().catch(({ message }) => {
    console.error(`no code kept, the program will start slower: ${message}`)
  })
}

async function runAll() {
  const { makeSampleData } = await import('./demo-data.mjs')
  const cwd = await mkdtemp(join(tmpdir(), 'influx-snap-code-'))
  const http = createServer((_, answer) => answer.end(ANSWER)).listen(0, '127.0.0.1')
  try {
    await makeSampleData(join(cwd, 'influx'))
    // One at a time, as each begins with what was kept before it and keeps that and its own: those that serve others, too.
    await serve(cwd, KEEPING, (host) => run(cwd, PROGRAM, `backup --quiet --host ${host} first`))
    await serve(cwd, PROGRAM, async (host) => {
      const url = `http://127.0.0.1:${http.address().port}`
      for (const command of COMMANDS) {
        await run(cwd, KEEPING, command.replace('HOST', host).replace('HTTP', url))
      }
    })
  } finally {
    http.close()
    await rm(cwd, { recursive: true, force: true })
  }
}

/** Serves the sample on a free port while `work` is done. */
async function serve(cwd, program, work) {
  const { child, ended } = start(cwd, program, 'serve --data-dir influx/data --bind 127.0.0.1:0')
  const host = new Promise((resolve, reject) => {
    const seek = (said) => / on (127\.0\.0\.1:\d+)/.exec(said)?.[1]
    child.stderr.on('data', (line) => seek(line) && resolve(seek(line)))
    ended.then(({ said }) => reject(new Error(`snap serve ended: ${said}`)))
  })
  try {
    await work(await host)
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

async function run(cwd, program, command) {
  const { code, said } = await start(cwd, program, command).ended
  // What answers over HTTP is no influxd: the way to it is what counts.
  if (code !== 0 && !command.includes('http:')) throw new Error(`snap ${command}: ${said}`)
}

function start(cwd, program, command) {
  const env = {
    ...{ PATH: process.env.PATH, HOME: cwd },
    ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
  }
  const child = spawn(process.execPath, [program, ...command.split(' ')], {
    ...{ cwd, env, timeout: DEADLINE_MS, stdio: ['ignore', 'ignore', 'pipe'] },
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, said: said || signal }))
  return { child, ended }
}
