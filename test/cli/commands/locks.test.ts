import { once } from 'node:events'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { thisProcess } from '../../../src/io/process-owner.ts'
import { encodeLock } from '../../../src/operations/lock-rules.ts'
import { type LockMode, lockName } from '../../../src/portable/names.ts'
import { startSnap } from '../../helpers/cli.ts'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { CAN_MOUNT, makeReadOnly, mountMemory } from '../../helpers/file-systems.ts'
import { tempDir } from '../../helpers/temp.ts'
import { until } from '../../helpers/until.ts'
import { expectCode, finish, snap, snapJson, worldOf } from './snap.ts'
import { backedUp, isThere, newTarget } from './targets.ts'

const locksIn = async (path: string) =>
  (await readdir(path)).filter((name) => name.endsWith('.lock'))

/** Leaves a lock in a target; this process has it unless said otherwise. */
async function lock(path: string, mode: LockMode, owner = thisProcess()): Promise<string> {
  const name = join(path, lockName(mode, 'a'.repeat(32)))
  const started = '2026-01-02T03:04:05.000Z'
  await writeFile(name, encodeLock({ mode, command: 'prune', started, owner }))
  return name
}

/** A server that takes connections and never says a word. */
async function silentHost(): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return `127.0.0.1:${port}`
}

/** Starts a backup that is at work and does not come to an end. */
async function startBackup(target: string) {
  const backup = startSnap(['backup', '--host', await silentHost(), target])
  onTestFinished(() => backup.kill('SIGKILL'))
  await until(async () => (await isThere(target)) && (await locksIn(target)).length > 0)
  return backup
}

describe('the lock of a target', () => {
  it('stops a run with code 11 that says who has it, and is waited for with --lock-wait', async () => {
    const target = await backedUp()
    const held = await lock(target, 'exclusive')
    const { pid, host } = thisProcess()
    const by = `${target}: locked by snap prune (process ${pid} on ${host}) since 2026-01-02T03:04:05.000Z`
    const { error, code } = await snapJson('verify', target)
    expect(code).toBe(11)
    expect(error).toMatchObject({ code: 'E_LOCKED', message: by })
    expect(error?.hint).toContain('--lock-wait')
    const context = await worldOf(['verify', '--lock-wait', '1m', target])
    const waiting = finish(context)
    await until(() => context.stderr.text.includes('waiting for snap prune'))
    await rm(held)
    const { code: done, stderr } = await waiting
    expect(done).toBe(0)
    expect(stderr).toContain('waiting for snap prune (process')
  })

  it('is not asked for by what only looks', async () => {
    const target = await backedUp()
    await lock(target, 'exclusive')
    const { flags } = await makeDirectory()
    await expectCode(0, 'list', target)
    await expectCode(0, 'backup', ...flags, '--dry-run', target)
    const fresh = await makeDirectory()
    await expectCode(
      0,
      'restore',
      ...fresh.flags,
      '--db',
      'two words',
      '--newdb',
      'new',
      '--dry-run',
      target,
    )
  })

  it('lets runs that share it work at once, and leaves nothing', async () => {
    const target = await newTarget()
    const { flags } = await makeDirectory()
    const runs = [1, 2, 3].map(() => expectCode(0, 'backup', ...flags, target))
    expect(new Set((await Promise.all(runs)).map(({ document }) => document.set)).size).toBe(3)
    await Promise.all([
      expectCode(0, 'verify', target),
      expectCode(0, 'export', '--from', target, '--db', 'two words', `${target}-out`),
      expectCode(0, 'backup', ...flags, target),
    ])
    expect(await locksIn(target)).toEqual([])
    expect(await locksIn(`${target}-out`)).toEqual([])
  })

  it('leaves no trace of a run that fails', async () => {
    const target = await newTarget()
    await expectCode(14, 'backup', '--host', '127.0.0.1:1', target)
    expect(await isThere(target)).toBe(false)
    await expectCode(10, 'verify', target)
    expect(await isThere(target)).toBe(false)
    const empty = await tempDir('empty')
    await expectCode(10, 'verify', empty)
    expect(await readdir(empty)).toEqual([])
  })

  it.runIf(CAN_MOUNT)('is left out by what reads where nothing can be written', async () => {
    const target = await mountMemory('size=4m')
    await expectCode(0, 'backup', ...(await makeDirectory()).flags, target)
    makeReadOnly(target)
    const { code, stderr } = await snap('verify', target)
    expect(code).toBe(0)
    expect(stderr).toMatch(/^no lock was taken: .*read-only/m)
    await expectCode(15, 'backup', ...(await makeDirectory()).flags, target)
  })

  it('of a run that was killed is removed by the next, which says so', async () => {
    const target = await newTarget()
    const backup = await startBackup(target)
    backup.kill('SIGKILL')
    await backup.finished
    expect(await locksIn(target)).toHaveLength(1)
    const { flags } = await makeDirectory()
    const { code, stderr } = await snap('backup', ...flags, target)
    expect(code).toBe(0)
    const gone = `removed the lock of snap backup \\(process ${backup.pid} on .*: its process is gone`
    expect(stderr).toMatch(new RegExp(`^warning: ${gone}$`, 'm'))
    expect(await locksIn(target)).toEqual([])
  })

  it('is released by a run that is told to end', async () => {
    const target = await newTarget()
    const backup = await startBackup(target)
    backup.kill('SIGTERM')
    expect(await backup.finished).toMatchObject({ code: 143 })
    expect(await isThere(target)).toBe(false)
  })
})
