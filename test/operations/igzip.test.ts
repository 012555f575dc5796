import { access, chmod, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, gunzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { withIgzip } from '../../src/operations/igzip.ts'
import type { Progress } from '../../src/operations/progress.ts'
import { type CompressMember, MAX_COMPRESSING } from '../../src/portable/archive-writer.ts'
import { snapExpecting, snapJson, startSnap } from '../helpers/cli.ts'
import { type DirectorySpec, makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

/** A folder with an `igzip` in it: gzip, which takes the same flags, after some lines of shell. */
async function pathWith(before = ''): Promise<string> {
  const folder = await tempDir('bin')
  const program = join(folder, 'igzip')
  await writeFile(program, `#!/bin/sh\n${before}\nexec gzip "$@"\n`)
  await chmod(program, 0o755)
  return `relative:${folder}:${process.env.PATH}`
}

/** What an `igzip` does that is as it should be until there is a file: the second line of its script. */
async function failingOnce(failure: string): Promise<{ path: string; fail: () => Promise<void> }> {
  const flag = join(await tempDir('flag'), 'fail')
  const path = await pathWith(`if [ -e ${flag} ]; then ${failure}; fi`)
  return { path, fail: () => writeFile(flag, '') }
}

/** Some MiB that do not compress to nothing. */
const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251))

function compressed(compress: CompressMember, bytes: Buffer, room = Buffer.alloc(400_000)) {
  return compress({ bytes, crc: crc32(bytes) }, room)
}

/** Temporary files without names that this process holds. */
async function heldFiles(): Promise<string[]> {
  const fds = await readdir('/proc/self/fd')
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return links.filter((link) => /snap-\d+-.*deleted/.test(link))
}

/** Calls `work` with an igzip that is there; fails if it is not used. Returns what was warned of. */
async function withWorking(path: string, work: (compress: CompressMember) => Promise<void>) {
  const { options, warnings } = await told(path)
  await withIgzip(options, async (find) => {
    const compress = await find()
    if (compress === undefined) throw new Error('igzip is not used')
    await work(compress)
  })
  return warnings
}

async function told(path: string | undefined, folder?: string) {
  const warnings: string[] = []
  const progress: Progress = (event) => {
    if (event.type === 'note' && event.level === 'warning') warnings.push(event.message)
  }
  return { options: { path, tempDir: folder ?? (await tempDir('tmp')), progress }, warnings }
}

/** Tells whether an igzip at `path` is used; one that is there and is not is warned of. */
async function isUsed(path: string | undefined, folder?: string): Promise<boolean> {
  const { options, warnings } = await told(path, folder)
  const used = await withIgzip(options, async (find) => (await find()) !== undefined)
  const isThere = await access(join(path?.split(':')[1] ?? '', 'igzip')).then(
    () => true,
    () => false,
  )
  expect(warnings).toEqual(
    used || !isThere ? [] : [expect.stringMatching(/igzip does not work here: gzip is made/)],
  )
  return used
}

describe('igzip on the path', () => {
  it('makes members of gzip where there is room for them, one after the other', async () => {
    await withWorking(await pathWith(), async (compress) => {
      const room = Buffer.alloc(400_000)
      for (const bytes of [BYTES, BYTES.subarray(7, 5000), Buffer.alloc(0), BYTES]) {
        const member = await compressed(compress, bytes, room)
        expect(member.buffer).toBe(room.buffer)
        expect(gunzipSync(member).equals(bytes)).toBe(true)
      }
    })
  })

  it('makes several at once, more than there are shells', async () => {
    await withWorking(await pathWith('sleep 0.05'), async (compress) => {
      const members = await Promise.all(
        Array.from({ length: 9 }, (_, i) => compressed(compress, BYTES.subarray(i))),
      )
      const back = members.map((member) => gunzipSync(member))
      expect(back.map((bytes, i) => bytes.equals(BYTES.subarray(i)))).not.toContain(false)
    })
  })

  it.each([
    { name: 'it fails', failure: 'exit 1' },
    { name: 'its shell is killed', failure: 'kill -9 $PPID; exit 0' },
    { name: 'it makes something else', failure: 'exec cat' },
    { name: 'it makes a member of something else', failure: 'echo x | gzip -c; exit 0' },
    { name: 'it is killed within', failure: 'gzip -c | head -c 1000; exit 0' },
    { name: 'its end is missing', failure: 'gzip -c | head -c -3; exit 0' },
    { name: 'it makes nothing', failure: 'exit 0' },
    { name: 'it never stops making', failure: 'exec yes' },
    { name: 'it makes more than there is room for', failure: 'exec head -c 1000000 /dev/zero' },
  ])('is done without from when $name', async ({ failure }) => {
    const { path, fail } = await failingOnce(failure)
    const warnings = await withWorking(path, async (compress) => {
      expect(gunzipSync(await compressed(compress, BYTES)).equals(BYTES)).toBe(true)
      await fail()
      for (let i = 0; i < 6; i += 1) {
        const room = Buffer.alloc(400_000)
        const member = await compressed(compress, BYTES.subarray(i), room)
        expect(member.buffer).not.toBe(room.buffer)
        expect(gunzipSync(member).equals(BYTES.subarray(i))).toBe(true)
      }
    })
    expect(warnings).toEqual([
      expect.stringMatching(/igzip failed \(.+\): gzip is made without it/),
    ])
    expect(await heldFiles()).toEqual([])
  })

  it('is not waited for by all when it hangs at the start', async () => {
    const pids = await tempDir('pids')
    const path = await pathWith(`echo $PPID >${pids}/$$; exec sleep 600`)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const used = isUsed(path)
      await until(async () => (await readdir(pids)).length === MAX_COMPRESSING)
      await vi.advanceTimersByTimeAsync(10_000)
      expect(await used).toBe(false)
    } finally {
      vi.useRealTimers()
    }
    for (const name of await readdir(pids)) await untilGone(join(pids, name))
  })

  it('is not waited for when it hangs, and ended with all that it started', async () => {
    const pids = await tempDir('pids')
    const { path, fail } = await failingOnce(
      `echo $PPID >${pids}/sh; sleep 600 & echo $! >${pids}/sleep; wait`,
    )
    await withWorking(path, async (compress) => {
      await fail()
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const member = compressed(compress, BYTES)
        await until(async () => (await readdir(pids)).length === 2)
        await vi.advanceTimersByTimeAsync(60_000)
        expect(gunzipSync(await member).equals(BYTES)).toBe(true)
      } finally {
        vi.useRealTimers()
      }
      for (const name of ['sh', 'sleep']) await untilGone(join(pids, name))
    })
  })

  it('leaves no process and no file', async () => {
    const pid = join(await tempDir('pid'), 'pid')
    const folder = await tempDir('tmp')
    const path = await pathWith(`echo $PPID >${pid}`)
    const { options } = await told(path, folder)
    await withIgzip(options, async (find) => {
      expect(await find()).toBeDefined()
      expect(await readdir(folder)).toEqual([])
      expect((await heldFiles()).length).toBeGreaterThan(0)
    })
    await untilGone(pid)
    expect(await heldFiles()).toEqual([])
    const failing = withIgzip(options, () => Promise.reject(new Error('no')))
    await expect(failing).rejects.toThrow('no')
    await untilGone(pid)
    expect(await heldFiles()).toEqual([])
  })

  it('is not used if it is something else, or not there', async () => {
    expect(await isUsed(await pathWith())).toBe(true)
    expect(await isUsed(await pathWith('exec cat'))).toBe(false)
    expect(await isUsed(await pathWith('exit 3'))).toBe(false)
    expect(await isUsed(await pathWith('exec yes'))).toBe(false)
    expect(await isUsed(await tempDir('empty'))).toBe(false)
    expect(await isUsed(undefined)).toBe(false)
    const folder = await tempDir('bin')
    await symlink('/no/such/program', join(folder, 'igzip'))
    expect(await isUsed(folder)).toBe(false)
    expect(await heldFiles()).toEqual([])
  })

  it('is not used where there are no temporary files', async () => {
    expect(await isUsed(await pathWith(), '/no/such/folder')).toBe(false)
    expect(await isUsed(await pathWith(), '/proc')).toBe(false)
  })
})

/** Waits until the process whose number is in a file is gone. */
async function untilGone(path: string): Promise<void> {
  const pid = Number(await readFile(path, 'utf8'))
  expect(pid).toBeGreaterThan(1)
  await until(() => {
    try {
      return !process.kill(pid, 0)
    } catch {
      return true
    }
  })
}

/** Shards whose tars take several members. */
const LARGE: DirectorySpec = {
  d: {
    p: {
      shards: [
        {
          id: 1,
          hour: 0,
          files: Array.from({ length: 6 }, (_, file) =>
            Object.fromEntries(
              Array.from({ length: 1000 }, (_, i) => [
                `m,host=${String(i * 7919).padStart(900, 'x')},n=${file}`,
                [i, i + 100_000],
              ]),
            ),
          ),
        },
      ],
    },
  },
}

describe('a set whose archives are compressed with igzip', () => {
  it('is verified, read from the middle and restored as any other', {
    timeout: 120_000,
  }, async () => {
    const { flags } = await makeDirectory(LARGE)
    const env = { PATH: await pathWith() }
    const target = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, target], { env })
    const plain = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, plain], { env: { PATH: '/none' } })
    const [name = ''] = (await readdir(target)).filter((file) => file.endsWith('.s1.json'))
    const sidecar = JSON.parse(await readFile(join(target, name), 'utf8'))
    expect(sidecar.archive.members).toBe(true)
    expect(sidecar.seekPoints.length).toBeGreaterThan(1)
    await snapExpecting(0, ['verify', '--deep', target])
    const compared = await snapJson(['diff', target, plain, '--measurement', 'm'])
    expect(compared).toMatchObject({ different: false, equal: 12_000 })
    const { flags: empty } = await makeDirectory({})
    await snapExpecting(0, ['restore', '--influxd-is-stopped', ...empty, target])
    expect(await snapJson(['diff', target, ...empty])).toMatchObject({ different: false })
  })

  it('leaves no shell behind when the run is killed', async () => {
    const { flags } = await makeDirectory(LARGE)
    const pid = join(await tempDir('pid'), 'pid')
    const env = { PATH: await pathWith(`echo $PPID >${pid}; sleep 0.3`) }
    const running = startSnap(['backup', ...flags, await tempDir('target')], { env })
    await vi.waitFor(async () => expect(await readFile(pid, 'utf8')).not.toBe(''), 10_000)
    running.child.kill('SIGKILL')
    expect(await running.finished).toMatchObject({ signal: 'SIGKILL' })
    await untilGone(pid)
  })

  it('loses only the member that is damaged', async () => {
    const { flags } = await makeDirectory(LARGE)
    const target = await tempDir('target')
    await snapExpecting(0, ['backup', ...flags, target], { env: { PATH: await pathWith() } })
    const [name = ''] = (await readdir(target)).filter((file) => file.endsWith('.s1.tar.gz'))
    const bytes = await readFile(join(target, name))
    bytes[1000] = (bytes[1000] ?? 0) ^ 0x10
    await writeFile(join(target, name), bytes)
    await snapExpecting(13, ['verify', target])
    const { flags: empty } = await makeDirectory({})
    const words = ['restore', '--salvage', '--influxd-is-stopped', ...empty, target]
    await snapExpecting(3, words)
    const left = await snapJson([
      'export',
      ...empty,
      '--format',
      'lp',
      join(await tempDir('out'), 'x.lp'),
    ])
    expect(left['points']).toBeGreaterThan(0)
  })
})
