import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../../helpers/s3.ts'
import { tempDir } from '../../helpers/temp.ts'
import { expectCode, finish, finishJson, snap, snapJson, worldOf } from './snap.ts'
import { backedUp } from './targets.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures')
const target = await backedUp()

describe('snap report', () => {
  it('writes a page that others may read, and replaces an older one', async () => {
    const dir = await tempDir('page')
    const path = join(dir, 'report.html')
    await writeFile(path, 'old', { mode: 0o600 })
    const { code, stdout } = await snap('report', '-o', path, target)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^1 set: 2 to look at; wrote \S+report\.html, [\d.]+ KiB\n$/)
    expect(await readFile(path, 'utf8')).toMatch(/^<!DOCTYPE html>[\s\S]*<\/html>\n$/)
    expect((await stat(path)).mode & 0o777).toBe(0o644)
    expect(await readdir(dir)).toEqual(['report.html'])
  })

  it('writes the page to standard output, and nothing else there', async () => {
    const { code, stdout, stderr } = await snap('report', '--title', 'A & B', '-o', '-', target)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^<!DOCTYPE html>[\s\S]*<h1>A &amp; B<\/h1>[\s\S]*<\/html>\n$/)
    expect(stderr).toBe('')
  })

  it('prints the same as data, with a page or without one', async () => {
    const { document } = await expectCode(0, 'report', target)
    expect(document).toMatchObject({ source: target, output: null })
    expect(document.databases.map(({ name }: { name: string }) => name)).toEqual([
      'telegraf',
      'two words',
    ])
    expect(document.sets).toMatchObject([{ kind: 'snap', comparable: true, points: 11 }])
    const path = join(await tempDir('page'), 'r.html')
    const both = await expectCode(0, 'report', '--keep-last', '1', '-o', path, target)
    expect(both.document).toMatchObject({ output: path, retention: { kept: 1, removed: [] } })
    expect((await stat(path)).size).toBeGreaterThan(5000)
  })

  it('asks where to, and does not mix page and data', async () => {
    const missing = await snap('report', target)
    expect(missing.code).toBe(2)
    expect(missing.stderr).toMatch(/^error: missing -o FILE\.html/)
    const mixed = await snapJson('report', '-o', '-', target)
    expect(mixed).toMatchObject({ code: 2, error: { code: 'E_USAGE' } })
  })

  it('is set by variables too', async () => {
    const path = join(await tempDir('page'), 'r.html')
    const env = { INFLUX_SNAP_OUTPUT: path, INFLUX_SNAP_TITLE: 'from a variable' }
    const { code } = await finish(await worldOf(['report', target], env))
    expect(code).toBe(0)
    expect(await readFile(path, 'utf8')).toContain('<h1>from a variable</h1>')
  })

  it('takes sets of influxd', async () => {
    const { document } = await expectCode(0, 'report', join(FIXTURES, 'portable/two-sets'))
    expect(document.sets).toMatchObject([{ kind: 'stock' }, { kind: 'stock' }])
    expect(document.clusterId).toBeUndefined()
  })

  it('leaves no file where there is nothing to report', async () => {
    const dir = await tempDir('page')
    await mkdir(join(dir, 'empty'))
    const path = join(dir, 'r.html')
    const { error } = await expectCode(10, 'report', '-o', path, join(dir, 'empty'))
    expect(error?.code).toBe('E_NO_BACKUP')
    expect(await readdir(dir)).toEqual(['empty'])
  })

  it('says that the page cannot be written, and leaves what is there', async () => {
    const dir = await tempDir('page')
    const inNowhere = await expectCode(15, 'report', '-o', join(dir, 'no', 'r.html'), target)
    expect(inNowhere.error?.message).toContain('no/r.html')
    await expectCode(15, 'report', '-o', dir, target)
    // Not by /dev/null itself, which a failure here would take from the whole machine.
    const pipe = join(dir, 'pipe')
    execFileSync('mkfifo', [pipe])
    const inPipe = await expectCode(15, 'report', '-o', pipe, target)
    expect(inPipe.error).toMatchObject({
      message: `${pipe}: expected a file, got a device or a pipe`,
      hint: 'name a file, or - for standard output',
    })
    expect((await stat(pipe)).isFIFO()).toBe(true)
    await writeFile(join(dir, 'theirs'), 'x')
    await symlink('theirs', join(dir, 'link'))
    await expectCode(0, 'report', '-o', join(dir, 'link'), target)
    expect(await readFile(join(dir, 'theirs'), 'utf8')).toBe('x')
  })

  it('may be written beside the sets: it is none', async () => {
    const own = await backedUp()
    await expectCode(0, 'report', '-o', join(own, 'report.html'), own)
    expect((await expectCode(0, 'verify', own)).document.problems).toEqual([])
    expect((await expectCode(0, 'report', own)).document.sets).toHaveLength(1)
    await rm(join(own, 'report.html'))
  })
})

describeWithS3('snap report of a bucket', () => {
  it('reads the sets there', async () => {
    const ceph = await sharedCeph()
    const bucket = await newBucket(s3Client(ceph))
    const environment = { ...process.env }
    Object.assign(process.env, s3Environment(ceph))
    try {
      const place = ['--s3-endpoint', ceph.endpoint, `s3://${bucket}/db1`]
      const { flags } = await makeDirectory()
      await expectCode(0, 'backup', ...flags, ...place)
      const context = await worldOf(['report', ...place, '--json'])
      const { document } = await finishJson(context)
      expect(document.sets).toMatchObject([{ points: 11, sharesWith: 0 }])
    } finally {
      for (const name of Object.keys(s3Environment(ceph))) delete process.env[name]
      Object.assign(process.env, environment)
    }
  })
})
