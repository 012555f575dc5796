import { join } from 'node:path'
import { expect, it } from 'vitest'
import { describeWithInfluxd } from './helpers/influxd.ts'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const isSlow = process.env['SLOW'] === '1'
const TIMEOUT = 600_000

interface Row {
  readonly work: string
  readonly figure: number
}

/** Runs benchmarks once on next to nothing. Figures of so little mean nothing; that there are any does. */
async function bench(...words: string[]) {
  const size = ['--days', '1', '--hosts', '2', '--shards', '3', '--many-shards', '20']
  const args = ['--times', '1', ...size, '--cache', await tempDir('bench'), ...words]
  const { code, stdout, stderr } = await run(
    process.execPath,
    [join(ROOT, 'bench/run.mjs'), ...args],
    { timeout: TIMEOUT },
  )
  expect(code, stderr).toBe(0)
  return stdout
}

async function rowsOf(...words: string[]) {
  const rows: readonly Row[] = JSON.parse(await bench('--json', ...words))
  for (const { work, figure } of rows) expect(figure, work).toEqual(expect.any(Number))
  return rows.map(({ work }) => work.trim())
}

describeWithInfluxd('npm run bench', () => {
  it(
    'has rows for a part of the work',
    async () => {
      const rows = await rowsOf('--only', 'incremental,many')
      expect(rows).toEqual([
        'nightly incremental, 1 of 3 shards changed',
        'list, 20 shards',
        'plan of an incremental, 20 shards',
      ])
    },
    TIMEOUT,
  )

  it.runIf(isSlow)(
    'has a row for all that is promised',
    async () => {
      const rows = await rowsOf()
      for (const work of [
        'snap --version',
        'backup, gzip',
        'size of the set',
        'backup, stored blocks',
        'received, hashed, written by a plain program',
        'fingerprints while backing up',
        'nightly incremental, 1 of 3 shards changed',
        'restore, no read-back',
        'restore with read-back',
        'restore into a directory, stored blocks',
        'restore into a directory, gzip',
        'verify',
        'verify --deep',
        'export --format lp',
        'export --format lp, .gz',
        'export of one day, into a set, from a directory',
        'export of 7 days less an empty range, into a set, from snap serve',
        'export of an empty range, lp, from a directory',
        'list, 20 shards',
        'backup to S3, gzip',
      ]) {
        expect(rows).toContain(work)
      }
    },
    TIMEOUT,
  )

  it.runIf(isSlow)(
    'has rows for the memory that many shards take',
    async () => {
      const rows = await rowsOf('--only', 'many-memory')
      expect(rows).toContain('memory of backup --incremental, all changed, 20 shards')
      expect(rows).toContain('memory of verify of three sets, 20 shards')
    },
    TIMEOUT,
  )

  it.runIf(isSlow)(
    'shows how time and memory grow',
    async () => {
      const text = await bench('--growth', '--max-shards', '20')
      expect(text.match(/^backup --incremental, nothing changed {2}/gm)).toHaveLength(2)
    },
    TIMEOUT,
  )
})
