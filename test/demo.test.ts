import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { describeWithInfluxd, startInfluxd } from './helpers/influxd.ts'
import { launch, run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const SCRIPTS = join(ROOT, 'scripts')

/** Runs the demo without `npm run demo`'s packages and build, with its temporary files in `tmp`. */
function demo(tmp: string) {
  return launch(process.execPath, [join(SCRIPTS, 'demo.mjs')], {
    env: { ...process.env, TMPDIR: tmp, INFLUX_SNAP_QUIET: '1' },
  })
}

it('is what npm run demo runs', async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
  expect(scripts.demo).toBe('bash scripts/with-packages node scripts/demo.mjs')
})

it('serves, backs up, verifies, restores, compares and finds a wrong bit', async () => {
  const tmp = await tempDir('demo')
  const { code, stdout, stderr } = await demo(tmp).finished
  expect(code, `${stdout}\n${stderr}`).toBe(0)
  expect(stderr).toBe('')
  for (const line of [
    /^\$ snap serve --data-dir influx\/data --bind 127\.0\.0\.1:0 2> serve\.log &$/m,
    /^backed up 7 shards, .* as set \d{8}T\d{6}Z in .*\/backups$/m,
    /^set \d{8}T\d{6}Z in backups: whole, 7 archives, 12 files, 417,478 values, /m,
    /^restored telegraf, plant: 7 shards, .*\/restored\/data$/m,
    /^ {2}telegraf\/autogen 2024-06-02 .* same$/m,
    /^error: damaged: 1 problem, .*\(E_INTEGRITY\)$/m,
    /^\$ echo \$\?\n13$/m,
    /^ {2}417,478 points in 7 shards /m,
  ]) {
    expect(stdout).toMatch(line)
  }
  expect(stdout.match(/ same$/gm)).toHaveLength(7)
  expect(await readdir(tmp)).toEqual([])
})

it('cleans up when it is stopped', async () => {
  const tmp = await tempDir('demo')
  const running = demo(tmp)
  await running.until(/^serving /m)
  running.kill('SIGTERM')
  const { code, stderr } = await running.finished
  expect(code).toBe(1)
  expect(stderr).toMatch(/The demo failed: /)
  expect(await readdir(tmp)).toEqual([])
})

describeWithInfluxd('the sample data', () => {
  it.each(['inmem', 'tsi1'] as const)('is valid for influxd with %s', async (indexVersion) => {
    const dir = await tempDir('sample')
    await run(process.execPath, [join(SCRIPTS, 'demo-data.mjs'), dir])
    const server = await startInfluxd({ dir, indexVersion })
    const count = async (db: string, field: string, from: string) => {
      const [series] = await server.query(`SELECT count(${field}) FROM ${from}`, { db })
      return series?.values?.[0]?.[1]
    }
    // Two hosts' files, one hour of five minutes deleted, three points in the WAL.
    expect(await count('telegraf', 'usage_user', 'cpu')).toBe(3 * 4 * 8640 + 862 - 12)
    expect(await count('telegraf', 'used', 'mem')).toBe(3 * 4 * 8640 + 862)
    expect(await count('telegraf', 'usage_user', 'yearly.cpu_weekly')).toBe(52)
    expect(await count('plant', 'state', 'pump')).toBe(72)
    await server.dispose()
  })
})
