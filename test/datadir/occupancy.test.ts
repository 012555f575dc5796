import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, link, mkdir, open, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { findOccupants } from '../../src/datadir/occupancy.ts'
import { readProcess } from '../../src/io/proc.ts'
import { run } from '../helpers/run.ts'
import { tempDir } from '../helpers/temp.ts'

let dir: string
const isLinuxRoot = process.platform === 'linux' && process.getuid?.() === 0

beforeEach(async () => {
  dir = await tempDir('occupancy')
  await mkdir(join(dir, 'data/db'), { recursive: true })
  await writeFile(join(dir, 'data/db/file'), 'x'.repeat(8192))
})

/** Runs a program that stays until the test ends, and waits for its first word. */
async function start(command: string, args: readonly string[], options = {}): Promise<number> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  if (child.pid === undefined) throw new Error('did not start')
  return child.pid
}

const WAIT = 'console.log("ready"); setInterval(() => {}, 1000)'

async function node(script: string, options = {}): Promise<number> {
  return await start(process.execPath, ['-e', named('node') + script + WAIT], options)
}

/** Gives a process the name that older versions of Node leave it; newer ones name their main thread. */
function named(command: string): string {
  return `require("fs").writeFileSync("/proc/self/comm", "${command}");`
}

function openFile(path: string): string {
  return `require('fs').openSync(${JSON.stringify(path)});`
}

async function inUse(directory = join(dir, 'data')) {
  return (await findOccupants([directory])).inUse
}

describe('findOccupants', () => {
  it('sees nobody in an unused directory, whatever this process has open', async () => {
    const handle = await open(join(dir, 'data/db/file'))
    onTestFinished(() => handle.close())
    expect(await inUse()).toEqual([])
  })

  it('sees an open file, and one opened under another name of the directory', async () => {
    await symlink(join(dir, 'data'), join(dir, 'alias'))
    const pid = await node(openFile(join(dir, 'alias/db/file')))
    const path = join(dir, 'data/db/file')
    expect(await inUse()).toEqual([{ pid, command: 'node', path }])
    expect(await inUse(join(dir, 'alias'))).toHaveLength(1)
    await mkdir(join(dir, 'other'))
    expect(await inUse(join(dir, 'other'))).toEqual([])
  })

  it('sees an open file that was removed, and an open directory', async () => {
    const removed = await node(
      `${openFile(join(dir, 'data/db/file'))}require('fs').unlinkSync(${JSON.stringify(join(dir, 'data/db/file'))});`,
    )
    expect(await inUse()).toMatchObject([{ pid: removed, path: expect.stringContaining('file') }])
    const reader = await node(openFile(join(dir, 'data')))
    expect((await inUse()).map(({ pid }) => pid).sort()).toEqual([removed, reader].sort())
  })

  it('sees a file that is only mapped', async () => {
    await copyFile('/bin/sleep', join(dir, 'data/db/program'))
    const child = spawn(join(dir, 'data/db/program'), ['100'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'spawn')
    expect(await inUse()).toMatchObject([{ pid: child.pid, path: join(dir, 'data/db/program') }])
  })

  it('sees who stands there, unless this process stands in the same place', async () => {
    const pid = await node('', { cwd: join(dir, 'data/db') })
    expect(await inUse()).toEqual([{ pid, command: 'node', path: join(dir, 'data/db') }])
    await node('', { cwd: process.cwd() })
    expect((await inUse(process.cwd())).filter(({ path }) => path === process.cwd())).toEqual([])
  })

  it('sees an influxd that has nothing open, by its configuration', async () => {
    const program = join(dir, 'influxd')
    await link(process.execPath, program).catch(() => copyFile(process.execPath, program))
    const config = join(dir, 'influxdb.conf')
    const text = `[meta]\ndir = "${dir}/meta"\n[data]\ndir = "data"\nwal-dir = "${dir}/wal"\n`
    await writeFile(config, text)
    const directory = join(dir, 'data')
    const found = { command: 'influxd', path: directory }
    const script = ['-e', named('influxd') + WAIT, '--']
    const byFlag = await start(program, [...script, '-config', 'influxdb.conf'], { cwd: dir })
    expect(await inUse()).toEqual([{ ...found, pid: byFlag }])
    const env = { ...process.env, INFLUXDB_CONFIG_PATH: config, INFLUXDB_DATA_DIR: directory }
    const byVariable = await start(program, script, { env })
    expect((await inUse()).map(({ pid }) => pid)).toContain(byVariable)
    const elsewhere = { ...process.env, HOME: dir, INFLUXDB_CONFIG_PATH: '' }
    const byDefault = await start(program, [...script, `--config=/dev/null`], { env: elsewhere })
    await start(program, script, { env: elsewhere })
    expect((await inUse()).map(({ pid }) => pid)).not.toContain(byDefault)
    await mkdir(join(dir, '.influxdb/data'), { recursive: true })
    expect(await inUse(join(dir, '.influxdb/data'))).toHaveLength(2)
    await writeFile(config, '[')
    const { unseen } = await findOccupants([directory])
    expect(unseen).toContainEqual(expect.stringMatching(/process \d+ \(influxd\): .*influxdb.conf/))
  })

  it('says that it sees nothing without /proc', async () => {
    const none = join(dir, 'none')
    expect(await findOccupants([dir], none)).toEqual({
      inUse: [],
      unseen: [`${none} shows no processes here`],
    })
  })

  it('says that processes are hidden when the first one is', async () => {
    const proc = join(dir, 'proc')
    await mkdir(join(proc, `${process.pid}`), { recursive: true })
    await symlink(`${process.pid}`, join(proc, 'self'))
    const { unseen } = await findOccupants([dir], proc)
    expect(unseen).toEqual([
      'processes outside this PID namespace (container) cannot be seen',
      `${proc} hides the processes of other users (hidepid)`,
    ])
  })

  it('says when other machines may use the file system', async () => {
    // 9P, NFS and their kin cannot be mounted in a test; FUSE's control file system has no type of theirs.
    const kinds = (await findOccupants(['/'])).unseen.filter((reason) => reason.includes(' is on '))
    expect(kinds).toEqual([])
  })
})

describe.runIf(isLinuxRoot)('findOccupants beside others', () => {
  it('names processes of other users that may not be looked into', async () => {
    const pid = await node(openFile(join(dir, 'data/db/file')))
    process.seteuid?.(65_534)
    try {
      const { inUse, unseen } = await findOccupants(['/'])
      expect(inUse).toEqual([])
      expect(unseen).toEqual([expect.stringMatching(/^\d+ processes of other users cannot/)])
    } finally {
      process.seteuid?.(0)
    }
    expect(await inUse()).toMatchObject([{ pid }])
  })

  it('sees through a bind mount in another mount namespace', async () => {
    const mounted = join(dir, 'mounted')
    await mkdir(mounted)
    const shell = `mount --bind ${dir}/data ${mounted} && exec ${process.execPath} -e '${named('node')}${openFile(join(mounted, 'db/file')).replaceAll("'", '"')}${WAIT}'`
    const probe = await run('unshare', ['-m', 'true'])
    if (probe.code !== 0) return
    const pid = await start('unshare', ['-m', 'sh', '-c', shell])
    expect(await inUse()).toEqual([{ pid, command: 'node', path: join(mounted, 'db/file') }])
  })
})

describe('readProcess', () => {
  it('reads a command with brackets in it', async () => {
    const program = join(dir, 'a) b (c')
    await copyFile('/bin/sleep', program)
    const child = spawn(program, ['100'], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'spawn')
    const state = readProcess(child.pid ?? 0)
    expect(state).toMatchObject({ command: 'a) b (c', isKernel: false })
    expect(Number(state?.startTime)).toBeGreaterThan(0)
  })

  it('knows threads of the kernel, and nothing of a process that is not there', () => {
    const thread = readProcess(2)
    if (thread?.command === 'kthreadd') expect(thread.isKernel).toBe(true)
    expect(readProcess(2 ** 22 + 1)).toBeUndefined()
  })
})
