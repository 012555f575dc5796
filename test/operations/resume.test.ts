import { spawnSync } from 'node:child_process'
import {
  appendFile,
  chmod,
  mkdir,
  readdir,
  readFile,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { thisProcess } from '../../src/io/process-owner.ts'
import {
  openJournal,
  type RestoreIdentity,
  type RestoreJournal,
} from '../../src/operations/resume.ts'
import { tempDir } from '../helpers/temp.ts'

const shard = (shardId: bigint) => ({
  ...{ database: 'd', retentionPolicy: 'r', shardId },
  parts: [{ name: `s${shardId}`, tarSize: 1, stored: undefined, open: async function* () {} }],
})
const plan = {
  ...{ database: 'd', newDatabase: 'x', retentionPolicy: undefined, newRetentionPolicy: undefined },
  ...{ metaBytes: Buffer.from('meta'), shards: [shard(1n), shard(2n)] },
}
const identity: RestoreIdentity = {
  ...{ backup: { url: '/backup', set: 'S' }, server: 'host:8088', clusterId: 7n },
  plan: { databases: [plan] },
}
const IDS = new Map([
  [1n, 11n],
  [2n, 2n ** 64n - 1n],
])

let dir: string

beforeEach(async () => {
  dir = join(await tempDir('state'), 'influx-snap')
})

const open = async (other: Partial<RestoreIdentity> = {}): Promise<RestoreJournal> =>
  await openJournal(dir, { ...identity, ...other })

async function written(): Promise<RestoreJournal> {
  const journal = await open()
  await journal.addDatabase('x')
  await journal.addDatabase('x', IDS)
  await journal.addShard(1n)
  await journal.close()
  return journal
}

describe('the journal of a restore', () => {
  it('is not there before the first step', async () => {
    const journal = await open()
    expect(journal.isLeft).toBe(false)
    await journal.close()
    await expect(readdir(dir)).rejects.toThrow('ENOENT')
  })

  it('tells the next run what was done', async () => {
    await written()
    const journal = await open()
    expect(journal.isLeft).toBe(true)
    expect(journal.database('x')?.ids).toEqual(IDS)
    expect([1n, 2n].map((id) => journal.isFinished(id))).toEqual([true, false])
    await journal.addShard(2n)
    await journal.close()
    expect((await open()).isFinished(1n)).toBe(true)
    expect((await open()).isFinished(2n)).toBe(true)
  })

  it('is for its owner alone, and gone when all is done', async () => {
    const { path } = await written()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    await (await open()).remove()
    expect(await readdir(dir)).toEqual([])
  })

  it('forgets a database that is not there any more', async () => {
    await written()
    const journal = await open()
    journal.forget(plan)
    expect([journal.isLeft, journal.isFinished(1n)]).toEqual([false, false])
  })

  it('is another one for another restore', async () => {
    const { path } = await written()
    for (const other of [
      { server: 'other:8088' },
      { clusterId: 8n },
      { backup: { url: '/other', set: 'S' } },
      { backup: { url: '/backup', set: undefined } },
      { plan: { databases: [{ ...plan, newDatabase: 'y' }] } },
      { plan: { databases: [{ ...plan, metaBytes: Buffer.from('other') }] } },
      { plan: { databases: [{ ...plan, shards: [shard(1n)] }] } },
    ]) {
      expect((await open(other)).path).not.toBe(path)
    }
  })

  it('takes a line that is cut for not written, wherever it is cut', async () => {
    const { path } = await written()
    const { length } = await readFile(path)
    for (let size = length - 1; size >= 0; size--) {
      await truncate(path, size)
      const journal = await open()
      if (journal.isFinished(1n)) expect(size).toBe(length - 1)
      const ids = journal.database('x')?.ids
      expect([undefined, 2]).toContain(ids?.size)
    }
    expect((await open()).isLeft).toBe(false)
  })

  it('reads nothing after a line that is none', async () => {
    const { path } = await written()
    await appendFile(path, 'rubbish\n{"shard":"2"}\n')
    expect((await open()).isFinished(2n)).toBe(false)
  })

  it('is locked while its process runs, and free when that is gone', async () => {
    const { path } = await written()
    const [, ...lines] = (await readFile(path, 'utf8')).split('\n')
    const owned = async (owner: object) => {
      const header = { schema: 'snap/restore-state/1', owner: { ...thisProcess(), ...owner } }
      await writeFile(path, [JSON.stringify(header), ...lines].join('\n'))
    }
    await owned({ pid: 1, startTime: 'other' })
    expect((await open()).isLeft).toBe(true)
    await owned({ pid: 1, host: 'another' })
    await expect(open()).rejects.toMatchObject({
      code: 'E_LOCKED',
      message: expect.stringContaining('process 1'),
    })
    const { pid } = spawnSync('true')
    await owned({ pid })
    expect((await open()).isLeft).toBe(true)
  })

  it('fails where it cannot be written, and where it cannot be read', async () => {
    await mkdir(join(dir, '..'), { recursive: true })
    await writeFile(dir, 'a file')
    await expect(open()).rejects.toMatchObject({ code: 'E_DESTINATION' })
    const journal = await openJournal('/dev/null/state', identity).catch((error: unknown) => error)
    expect(journal).toMatchObject({ code: 'E_DESTINATION' })
  })

  it('fails with each step that cannot be written', async () => {
    const journal = await open()
    await writeFile(dir, 'a file in its place')
    await expect(journal.addDatabase('x')).rejects.toMatchObject({ code: 'E_DESTINATION' })
    await expect(journal.addShard(1n)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    await journal.close()
    await chmod(dir, 0o600)
  })
})
