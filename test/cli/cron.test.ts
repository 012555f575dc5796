import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeDirectory } from '../helpers/data-directory.ts'
import { examplesIn } from '../helpers/examples.ts'
import { run } from '../helpers/run.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'

const SIMPLE = { telegraf: { autogen: { shards: [{ id: 1, hour: 0, files: [{ mem: [1] }] }] } } }

/** A program `influx-snap` and a configuration file for it. */
async function install(): Promise<{ readonly bin: string; readonly config: string }> {
  const dir = await tempDir('cron')
  const bin = join(dir, 'bin')
  const program = join(bin, 'influx-snap')
  await mkdir(bin)
  await writeFile(program, `#!/bin/sh\nexec ${process.execPath} ${ROOT}/bin/snap.js "$@"\n`)
  await chmod(program, 0o755)
  const { root } = await makeDirectory(SIMPLE)
  const config = join(dir, 'snap.toml')
  const nightly = `[targets.nightly]\nlocation = "${dir}/sets"\n`
  await writeFile(config, `data-dir = "${root}/data"\n${nightly}`)
  return { bin, config }
}

it('the lines of the crontab run as cron runs them, and say nothing', async () => {
  const page = await readFile(join(ROOT, 'docs/cron.md'), 'utf8')
  const crontab = examplesIn(page).find(({ language }) => language === 'cron')?.text ?? ''
  const { bin, config } = await install()
  const lines = crontab.split('\n').filter((line) => line !== '')
  const variables = lines.filter((line) => /^[A-Z_]+=/.test(line)).map((line) => line.split('='))
  const env = {
    ...Object.fromEntries(variables),
    ...{ HOME: '/nonexistent', LOGNAME: 'nobody', SHELL: '/bin/sh' },
    PATH: `${bin}:/usr/bin:/bin`,
    INFLUX_SNAP_CONFIG: config,
  }
  const jobs = lines.filter((line) => /^[\d*]/.test(line))
  expect(jobs).toHaveLength(3)
  for (const job of jobs) {
    const command = job.replace(/^(?:\S+ +){5}/, '').replaceAll('\\%', '%')
    const { code, stdout, stderr } = await run('/bin/sh', ['-c', command], { cwd: '/', env })
    expect([code, stdout, stderr], command).toEqual([0, '', ''])
  }
})

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0

/** The units beside the pages, and the one in docs/serve.md. */
async function readUnits(): Promise<Map<string, string>> {
  const served = await readFile(join(ROOT, 'docs/serve.md'), 'utf8')
  const unit = examplesIn(served).find(({ language }) => language === 'ini')?.text ?? ''
  const units = new Map([['influx-snap-serve.service', unit]])
  for (const name of await readdir(join(ROOT, 'docs/systemd'))) {
    units.set(name, await readFile(join(ROOT, 'docs/systemd', name), 'utf8'))
  }
  return units
}

it.skipIf(!hasSystemd)('systemd takes the units as they are', async () => {
  const { bin } = await install()
  const dir = await tempDir('units')
  const units = await readUnits()
  for (const [name, text] of units) {
    // The program and its user are not of this machine.
    const local = text.replaceAll('/usr/bin/influx-snap', join(bin, 'influx-snap'))
    await writeFile(join(dir, name), local.replace(/^User=.*$/m, 'User=root'))
  }
  const paths = [...units.keys()].map((name) => join(dir, name))
  const { code, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...paths])
  const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('influx-snap'))
  expect([code, ours]).toEqual([0, []])
})
