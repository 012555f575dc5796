import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import {
  describeWithInfluxd,
  type Influxd,
  startInfluxd,
  stockBackup,
  stockRestore,
} from '../helpers/influxd.ts'
import { loadOddData, PLAIN, SPACED } from '../helpers/odd-data.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

/** A name in which the legacy file names cannot tell database, policy and shard apart by their dots. */
const DOTTED = 'a.b.c'

describeWithInfluxd('the commands between real servers', () => {
  let source: Influxd
  let target: Influxd
  let dump: string[]

  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
    await loadOddData(source)
    await source.query(`CREATE DATABASE "${DOTTED}"`)
    await source.write('m v=1 1500000000000000000\nm v=2 1600000000000000000', { db: DOTTED })
    dump = await dumpAll(source)
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  it('understands a cron line of influxd with one word changed', async () => {
    const dir = await tempDir('cron')
    await snapExpecting(0, ['backup', '-portable', '-host', source.host, '-db', PLAIN, dir])
    const to = ['-host', target.host, '-db', PLAIN, '-newdb', 'cron']
    await snapExpecting(0, ['restore', '-portable', ...to, dir])
    const expected = await dumpAll(source, { db: PLAIN, dbAs: 'cron' })
    expect(await dumpAll(target, { db: 'cron' })).toEqual(expected)
  })

  it('writes portable names and nothing readable for others', async () => {
    const dir = await tempDir('names')
    await snapExpecting(0, ['backup', '--host', source.host, '--db', DOTTED, dir])
    const names = await readdir(dir)
    const [set = ''] = names.filter((name) => name.endsWith('.manifest'))
    expect(set).toMatch(/^\d{8}T\d{6}Z\.manifest$/)
    const base = set.replace('.manifest', '')
    expect(names).toContain(`${base}.meta`)
    expect(names.filter((name) => !name.startsWith(base))).toEqual([])
    expect(names.filter((name) => /\.s\d+\.tar\.gz$/.test(name)).length).toBe(2)
    for (const name of names) expect((await stat(join(dir, name))).mode & 0o777, name).toBe(0o600)
  })

  it('takes two backups into one directory, and the newest is restored', async () => {
    const dir = await tempDir('two')
    await source.query('CREATE DATABASE twice')
    await source.write('m v=1 1', { db: 'twice' })
    await snapExpecting(0, ['backup', '--host', source.host, '--db', 'twice', dir])
    await source.write('m v=2 2', { db: 'twice' })
    await snapExpecting(0, ['backup', '--host', source.host, '--db', 'twice', dir])
    for (const [name, restore] of [
      ['by snap', ['restore', '--host', target.host]],
      ['by influxd', undefined],
    ] as const) {
      const to = ['-portable', '-host', target.host, '-db', 'twice', '-newdb', name, dir]
      if (restore === undefined) expect(await stockRestore(to)).toMatchObject({ code: 0 })
      else await snapExpecting(0, [...restore, '--db', 'twice', '--newdb', name, dir])
      await target.settled()
      const [series] = await target.query('SELECT v FROM m', { db: name })
      expect(series?.values).toEqual([
        [1, 1],
        [2, 2],
      ])
    }
    await source.query('DROP DATABASE twice')
  })

  it.each([SPACED, DOTTED])('restores the legacy directory of influxd of %s', async (db) => {
    const dir = await tempDir('legacy')
    const backup = await stockBackup(['-host', source.host, '-db', db, dir])
    expect(backup, backup.stderr).toMatchObject({ code: 0 })
    const newdb = `legacy ${db}`
    await snapExpecting(0, ['restore', '--host', target.host, '--db', db, '--newdb', newdb, dir])
    const expected = await dumpAll(source, { db, dbAs: newdb })
    expect(await dumpAll(target, { db: newdb })).toEqual(expected)
  })

  it('restores by update-meta and one upload-shard per archive as restore does', async () => {
    const dir = await tempDir('pieces')
    await snapExpecting(0, ['backup', '--host', source.host, '--db', SPACED, dir])
    const to = ['--host', target.host, '--newdb', 'pieces']
    const { shards } = await snapJson(['update-meta', ...to, '--db', SPACED, dir])
    const pairs = Object.entries(shards as Record<string, string>)
    const ours = (await source.shards()).filter(({ database }) => database === SPACED)
    expect(pairs.map(([old]) => Number(old)).sort((a, b) => a - b)).toEqual(
      ours.map(({ id }) => id),
    )
    const names = await readdir(dir)
    for (const [old, id] of pairs) {
      const name = names.find((file) => file.endsWith(`.s${old}.tar.gz`)) ?? ''
      const ids = ['--shard', old, '--to-shard', id]
      await snapExpecting(0, ['upload-shard', ...to, ...ids, join(dir, name)])
    }
    const expected = await dumpAll(source, { db: SPACED, dbAs: 'pieces' })
    expect(await dumpAll(target, { db: 'pieces' })).toEqual(expected)
  })

  it('prints the shard id map as lines', async () => {
    const dir = await tempDir('map')
    await snapExpecting(0, ['backup', '--host', source.host, '--db', DOTTED, dir])
    const args = ['update-meta', '--host', target.host, '--db', DOTTED, '--newdb', 'map', dir]
    const { stdout } = await snapExpecting(0, args)
    expect(stdout).toMatch(/^(?:\d+ \d+\n){2}$/)
  })

  it('backs up and restores data directories without any server', async () => {
    const stopped = await startInfluxd()
    await loadOddData(stopped)
    await stopped.flush()
    await stopped.stop()
    const set = await tempDir('offline')
    await snapExpecting(0, ['backup', ...directoryFlags(stopped.dirs), set])
    const expected = dump.filter((line) => !line.startsWith(`["${DOTTED}"`))

    const fresh = await startInfluxd()
    await fresh.stop()
    await snapExpecting(0, ['restore', ...directoryFlags(fresh.dirs), set])
    await fresh.start()
    expect(await dumpAll(fresh)).toEqual(expected)
    await fresh.dispose()
    await stopped.dispose()
  })

  it('refuses to restore into the directories of a running influxd', async () => {
    const set = await tempDir('busy')
    await snapExpecting(0, ['backup', '--host', source.host, '--db', DOTTED, set])
    const before = await dumpAll(target)
    const { stderr, code } = await snapExpecting(15, [
      'restore',
      ...directoryFlags(target.dirs),
      set,
    ])
    expect(code, stderr).toBe(15)
    expect(stderr).toContain(String(target.pid))
    await target.restart()
    expect(await dumpAll(target)).toEqual(before)
  })
})
