import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { LOCK_FILE, lockDirectories } from '../../src/datadir/lock.ts'
import { temporaryName, thisProcess } from '../../src/io/process-owner.ts'
import { tempDir } from '../helpers/temp.ts'

let dir: string
let path: string

beforeEach(async () => {
  dir = await tempDir('lock')
  path = join(dir, LOCK_FILE)
})

/** Leaves a lock file as this process would, changed by `change`. */
async function leave(change: object): Promise<void> {
  const lock = await lockDirectories([dir])
  const holder: object = JSON.parse(await readFile(path, 'utf8'))
  await lock.release()
  await writeFile(path, JSON.stringify({ ...holder, id: 'left', ...change }))
}

function endedPid(): number {
  return spawnSync('true').pid
}

const locked = { code: 'E_LOCKED', retryable: true }

describe('lockDirectories', () => {
  it('keeps a second one away until released', async () => {
    const lock = await lockDirectories([dir])
    await expect(lockDirectories([dir])).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(`process ${process.pid}`),
    })
    await lock.release()
    await lock.release()
    expect(await readdir(dir)).toEqual([])
    await (await lockDirectories([dir, dir])).release()
  })

  it('takes all directories or none', async () => {
    const [a, b] = [join(dir, 'a'), join(dir, 'b')]
    for (const made of [a, b]) await mkdir(made)
    const lock = await lockDirectories([b])
    await expect(lockDirectories([a, b])).rejects.toMatchObject(locked)
    expect(await readdir(a)).toEqual([])
    await lock.release()
  })

  it.each([
    ['process has ended', () => ({ pid: endedPid() })],
    ['pid is another process by now', () => ({ startTime: '1' })],
    ['machine was started again', () => ({ boot: 'another' })],
  ])('takes over a lock whose %s', async (_, change) => {
    await leave(change())
    const lock = await lockDirectories([dir])
    expect(JSON.parse(await readFile(path, 'utf8')).pid).toBe(process.pid)
    await lock.release()
    expect(await readdir(dir)).toEqual([])
  })

  it.each([
    ['another machine', { host: 'elsewhere', pid: 4_000_000 }],
    ['another PID namespace', { pidNamespace: 'pid:[1]', pid: 4_000_000 }],
  ])('leaves a lock of %s alone', async (_, change) => {
    await leave(change)
    await expect(lockDirectories([dir])).rejects.toMatchObject(locked)
  })

  it.each(['', '{}', '[', '{"pid":"1"}'])('leaves a file holding %j alone', async (text) => {
    await writeFile(path, text)
    await expect(lockDirectories([dir])).rejects.toMatchObject({
      ...locked,
      message: `${path}: locked by another snap`,
    })
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  it('lets only one of many take over a stale lock', async () => {
    for (let round = 0; round < 20; round++) {
      await leave({ pid: endedPid() })
      const tries = Array.from({ length: 8 }, () => lockDirectories([dir]))
      const results = await Promise.allSettled(tries)
      const held = results.filter(({ status }) => status === 'fulfilled')
      expect(held.length).toBeLessThanOrEqual(1)
      for (const result of results) {
        if (result.status === 'fulfilled') await result.value.release()
        else expect(result.reason).toMatchObject(locked)
      }
      await rm(path, { force: true })
    }
    expect(await readdir(dir)).toEqual([])
  })

  it('does not take over what another is taking over', async () => {
    await leave({ pid: endedPid() })
    const takeover = `${path}.left.takeover`
    const self = JSON.stringify({ id: 'other', ...thisProcess() })
    await writeFile(takeover, self)
    await expect(lockDirectories([dir])).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(`${takeover}: locked by process ${process.pid}`),
    })
    expect(await readFile(takeover, 'utf8')).toBe(self)
  })

  it('takes over from those that were killed while they took over', async () => {
    await leave({ pid: endedPid() })
    for (const [stale, id] of [
      ['left', 'first'],
      ['first', 'second'],
      ['of-long-ago', 'third'],
    ]) {
      const holder = { id, ...thisProcess(), pid: endedPid() }
      await writeFile(`${path}.${stale}.takeover`, JSON.stringify(holder))
    }
    const lock = await lockDirectories([dir])
    expect(await readdir(dir)).toEqual([LOCK_FILE])
    await lock.release()
    expect(await readdir(dir)).toEqual([])
  })

  it('does not go round in a circle of takeovers', async () => {
    await leave({ pid: endedPid() })
    await writeFile(`${path}.left.takeover`, await readFile(path))
    await expect(lockDirectories([dir])).rejects.toMatchObject(locked)
  })

  it('removes what was left before a lock had its name, of this machine and of the dead alone', async () => {
    const own = temporaryName()
    const [, pid = ''] = /^snap-(\d+)-/.exec(own) ?? []
    const left = own.replace(pid, String(endedPid()))
    const elsewhere = left.replace(/-[0-9a-f]{16}-/, '-0123456789abcdef-')
    for (const name of [own, left, elsewhere]) await writeFile(join(dir, name), '')
    const lock = await lockDirectories([dir])
    await lock.release()
    expect((await readdir(dir)).sort()).toEqual([own, elsewhere].sort())
  })

  it('does not remove a lock that is not its own any more', async () => {
    const lock = await lockDirectories([dir])
    await unlink(path)
    await writeFile(path, '{"pid":1,"id":"other"}')
    await lock.release()
    expect(await readdir(dir)).toEqual([LOCK_FILE])
  })

  it('says where a lock cannot be made', async () => {
    await expect(lockDirectories([join(dir, 'none')])).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('none'),
    })
  })
})
