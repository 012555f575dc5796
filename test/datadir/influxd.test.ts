import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type IndexVersion, openDataDirectory } from '../../src/datadir/index.ts'
import { importData, listShards } from '../../src/meta/index.ts'
import {
  formatEntryName,
  packShardTar,
  parseEntryName,
  readShardTar,
  type TarEntryInput,
} from '../../src/tar/index.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { loadOddData } from '../helpers/odd-data.ts'
import { tempDir } from '../helpers/temp.ts'
import { collect, entriesOf, lastValue, once, pathsIn, pointsOf } from './shard-files.ts'

const { signal } = new AbortController()
const EVER = -(2n ** 63n)
const READ_ONLY = { mode: 'read-only' } as const
const READ_WRITE = { mode: 'read-write', influxdIsStopped: true } as const

/** Gives the entries of a shard tar the names they have in shard `id`. */
async function* renumbered(tar: Uint8Array, id: bigint): AsyncGenerator<TarEntryInput> {
  for await (const entry of readShardTar(once(tar))) {
    yield { ...entry, name: formatEntryName({ ...parseEntryName(entry.name), shardId: id }) }
  }
}

/** Copies all databases from one data directory into another, which may be new. */
async function transfer(from: string, to: string, indexVersion: IndexVersion): Promise<void> {
  const source = await openDataDirectory(pathsIn(from), READ_ONLY)
  const target = await openDataDirectory(pathsIn(to, indexVersion), READ_WRITE)
  const imported = importData(await target.metaClient.data(), await source.metaClient.data())
  await target.metaClient.setData(imported.data)
  for (const { database, retentionPolicy, shard } of listShards(imported.data)) {
    await target.tsdbStore.createShard(database, retentionPolicy, shard.id)
  }
  for (const [oldId, newId] of imported.shardIds) {
    const tar = await collect((w) => source.tsdbStore.backupShard(oldId, EVER, w, signal))
    const body = packShardTar(renumbered(tar, newId))
    await target.tsdbStore.restoreShard(newId, body, signal)
  }
  await source.close()
  await target.close()
}

async function listing(directory: string): Promise<string[]> {
  const lines: string[] = []
  for (const path of ['.', ...(await readdir(directory, { recursive: true }))].sort()) {
    const { ino, size, mtimeNs, ctimeNs } = await stat(join(directory, path), { bigint: true })
    lines.push([path, ino, size, mtimeNs, ctimeNs].join(' '))
  }
  return lines
}

describeWithInfluxd('a data directory of a real influxd', () => {
  describe.each<[IndexVersion, IndexVersion]>([
    ['inmem', 'tsi1'],
    ['tsi1', 'inmem'],
  ])('%s, killed with a full cache, into a new %s directory', (from, to) => {
    let source: Influxd
    let target: Influxd
    let expected: string[]

    beforeAll(async () => {
      source = await startInfluxd({ indexVersion: from })
      await loadOddData(source)
      await source.query('DELETE FROM "m plain"', { db: 'odd data' })
      await source.query('DELETE FROM dense WHERE time < 1500000100000000000', { db: 'plain' })
      await source.write('dense,step=even value=1 1500000000500000000', { db: 'plain' })
      expected = await dumpAll(source)
      await source.kill()
      const dir = await tempDir('target')
      await transfer(source.root, dir, to)
      target = await startInfluxd({ dir, indexVersion: to })
    })

    afterAll(async () => {
      await source.dispose()
      await target.dispose()
    })

    it('holds the same points and series', async () => {
      expect(expected.length).toBeGreaterThan(10_000)
      expect(await dumpAll(target, { series: false })).toEqual(
        expected.filter((line) => JSON.parse(line).length > 2),
      )
    })

    it('has the index that was asked for in every shard', async () => {
      for (const { id, database, retentionPolicy } of await target.shards()) {
        const names = await readdir(join(target.dirs.data, database, retentionPolicy, String(id)))
        expect(names.includes('index')).toBe(to === 'tsi1')
      }
    })

    it('takes deletes, drops and writes, and a restart', async () => {
      const count = async (measurement: string) =>
        (await target.query(`SELECT count(*) FROM "${measurement}"`, { db: 'plain' })).length
      await target.query("DELETE FROM dense WHERE step = 'odd'", { db: 'plain' })
      await target.query('DROP MEASUREMENT "m two words"', { db: 'odd data' })
      await target.query("DROP SERIES FROM types WHERE type = 'float'", { db: 'odd data' })
      await target.write('fresh,new=tag new_field=1i,value=2 1500000000000000000', { db: 'plain' })
      const check = async () => {
        const series = await target.query('SHOW SERIES FROM plain.autogen.dense', { db: 'plain' })
        expect(JSON.stringify(series)).not.toContain('odd')
        const names = JSON.stringify(await target.query('SHOW MEASUREMENTS', { db: 'odd data' }))
        expect(names).not.toContain('m two words')
        const types = await target.query('SHOW SERIES FROM types', { db: 'odd data' })
        expect(JSON.stringify(types)).not.toContain('type=float')
        expect(await count('fresh')).toBeGreaterThan(0)
      }
      await check()
      await target.restart()
      await check()
      await target.query('DROP DATABASE plain')
      expect(JSON.stringify(await target.query('SHOW DATABASES'))).not.toContain('plain')
      expect(await readdir(target.dirs.data)).not.toContain('plain')
    })
  })

  it('shows series and fields that are added to a shard with an index', async () => {
    const live = await startInfluxd({ indexVersion: 'tsi1' })
    const extra = await startInfluxd()
    for (const server of [live, extra]) await server.query('CREATE DATABASE db')
    await live.write('old,a=1 x=1 1', { db: 'db' })
    await live.flush()
    await live.restart()
    await extra.write(['old,a=1 x=2 2', 'old,a=2 y=3i 3', 'added,b=1 z="s" 4'], { db: 'db' })
    await live.stop()
    await extra.stop()
    const options = { ...READ_WRITE }
    const target = await openDataDirectory(pathsIn(live.root, 'tsi1'), options)
    const source = await openDataDirectory(pathsIn(extra.root), READ_ONLY)
    const tar = await collect((w) => source.tsdbStore.backupShard(1n, EVER, w, signal))
    async function* later() {
      for await (const entry of readShardTar(once(tar))) {
        yield { ...entry, name: entry.name.replace('000000001-', '000001000-') }
      }
    }
    await target.tsdbStore.restoreShard(1n, packShardTar(later()), signal)
    await target.close()
    await source.close()
    await live.start()
    await live.query('SHOW FIELD KEYS ON db')
    const dump = await dumpAll(live)
    expect(dump.filter((line) => JSON.parse(line).length > 2)).toHaveLength(4)
    expect(dump.filter((line) => JSON.parse(line).length === 2)).toHaveLength(3)
    await live.dispose()
    await extra.dispose()
  })

  it('is read beside influxd without a trace, and not changed beside it', async () => {
    const server = await startInfluxd()
    // No database, so not one of its files is open, and yet it would write meta.db back.
    const inUse = { code: 'E_DESTINATION', message: expect.stringContaining('influxd (process') }
    const paths = pathsIn(server.root)
    await expect(openDataDirectory(paths, READ_WRITE)).rejects.toMatchObject(inUse)
    await server.query('CREATE DATABASE db')
    await server.write('m x=1 1', { db: 'db' })
    await server.flush()
    await server.write('m x=2 2', { db: 'db' })
    await expect(openDataDirectory(paths, READ_WRITE)).rejects.toMatchObject(inUse)
    process.kill(server.pid, 'SIGSTOP')
    const before = await listing(server.root)
    const directory = await openDataDirectory(paths, READ_ONLY)
    const tar = await collect((w) => directory.tsdbStore.backupShard(1n, EVER, w, signal))
    expect(await pointsOf((await entriesOf(tar)).values())).toEqual(['m 1', 'm 2'])
    await directory.close()
    expect(await listing(server.root)).toEqual(before)
    process.kill(server.pid, 'SIGCONT')
    await server.dispose()
  })

  it('holds all that is acknowledged while influxd writes, flushes, compacts and is killed', async () => {
    const server = await startInfluxd({
      config: { data: { 'cache-snapshot-memory-size': 20_000 } },
    })
    await server.query('CREATE DATABASE db')
    const directory = await openDataDirectory(pathsIn(server.root), READ_ONLY)
    // Two series that grow, and one point that is written again and again.
    const acknowledged = [0, 0, 0]
    let done = false
    const write = async (lines: readonly string[]) => await server.write(lines, { db: 'db' })
    const writers = [0, 1].map(async (series) => {
      for (let next = 1; !done; next += 40) {
        const times = Array.from({ length: 40 }, (_, index) => next + index)
        await write(times.map((time) => `w,s=${series} n=${time} ${time}`))
        acknowledged[series] = next + 39
      }
    })
    const overwrite = async () => {
      for (let value = 1; !done; value++) {
        await write([`o n=${value} 1`])
        acknowledged[2] = value
      }
    }
    const flush = async () => {
      for (; !done; await sleep(5)) await server.flush(1)
    }
    while (acknowledged[0] === 0 || acknowledged[1] === 0) await sleep(10)
    const ended = Promise.allSettled([overwrite(), flush(), ...writers])
    const until = Date.now() + (process.env['SLOW'] === '1' ? 120_000 : 4000)
    const files = new Set<string>()
    let rounds = 0
    const check = async () => {
      const least = [...acknowledged]
      const tar = await collect((w) => directory.tsdbStore.backupShard(1n, EVER, w, signal))
      const entries = await entriesOf(tar)
      for (const name of entries.keys()) files.add(name)
      const times = [new Set<number>(), new Set<number>()]
      for (const point of await pointsOf(entries.values())) {
        const [, series, time] = /^w,s=(\d) (\d+)$/.exec(point) ?? []
        if (series !== undefined) times[Number(series)]?.add(Number(time))
      }
      for (const [series, seen] of times.entries()) {
        // As many as the highest: there is no gap.
        expect([...seen].reduce((a, b) => Math.max(a, b), 0)).toBe(seen.size)
        expect(seen.size).toBeGreaterThanOrEqual(least[series] ?? 0)
      }
      if (least[2] === 0) return
      const value = await lastValue(entries.values(), 'o#!~#n')
      expect(value).toBeGreaterThanOrEqual(least[2] ?? 0)
    }
    for (; Date.now() < until || rounds < 4 || files.size < 11; rounds++) await check()
    await server.kill()
    done = true
    await ended
    await check()
    await directory.close()
    await server.dispose()
  }, 300_000)
})
