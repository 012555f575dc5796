import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, it } from 'vitest'
import { bytesAccess, fileAccess, type RandomAccess } from '../../src/io/random-access.ts'
import { segmentNames } from '../../src/wal/segment.ts'
import { walToTsm } from '../../src/wal/to-tsm.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { convertShards, type PointRow, rowsOfDump } from './points.ts'
import { CONFIG, SCENARIOS, type Scenario, walFiles } from './scenarios.ts'

/** With `WRITE_FIXTURES=1` what influxd wrote and answered is kept for those who have none. */
const FIXTURES = fileURLToPath(new URL('../fixtures/wal/', import.meta.url))

async function readShards(server: Influxd): Promise<RandomAccess[][]> {
  const shards = new Map<string, RandomAccess[]>()
  for (const path of await walFiles(server)) {
    const segment = bytesAccess(await readFile(path), basename(path))
    shards.set(dirname(path), [...(shards.get(dirname(path)) ?? []), segment])
  }
  return [...shards.values()]
}

async function dump(server: Influxd): Promise<PointRow[]> {
  return rowsOfDump(await dumpAll(server, { db: 'd', series: false }))
}

/** Plays a scenario, kills influxd and starts it again: its WAL in between, and what it answers. */
async function play(server: Influxd, { name, run, loses = false }: Scenario) {
  await server.query('CREATE DATABASE d')
  await run(server)
  const before = loses ? await dump(server) : []
  await server.kill()
  const shards = await readShards(server)
  await server.start()
  const after = await dump(server)
  const expected = loses ? before : after
  if (process.env.WRITE_FIXTURES === '1') await keep(name, shards, expected)
  return { shards, expected, after }
}

async function keep(name: string, shards: readonly RandomAccess[][], expected: PointRow[]) {
  const folder = join(FIXTURES, name)
  await rm(folder, { recursive: true, force: true })
  for (const [index, segments] of shards.entries()) {
    await mkdir(join(folder, String(index + 1)), { recursive: true })
    for (const segment of segments) {
      const path = join(folder, String(index + 1), segment.name)
      await writeFile(path, await segment.read(0, segment.size))
    }
  }
  const lines = expected.map((row) => JSON.stringify(row))
  await writeFile(join(folder, 'expected.json'), `[\n${lines.join(',\n')}\n]\n`)
}

/** Puts TSM files in the place of a shard's WAL. */
async function replaceWal(server: Influxd, shard: string): Promise<void> {
  const wal = join(server.dirs.wal, shard)
  const names = segmentNames(await readdir(wal))
  const segments = await Promise.all(names.map((name) => fileAccess(join(wal, name))))
  const { files } = await walToTsm(segments, { generation: 1, tempDir: await tempDir('wal') })
  for (const { name, source } of files) {
    const path = join(server.dirs.data, shard, name)
    await writeFile(path, await source.read(0, source.size), { flag: 'wx' })
    await source.close()
  }
  for (const segment of segments) await segment.close()
  for (const name of names) await rm(join(wal, name))
}

describeWithInfluxd('a WAL that a real influxd left', () => {
  let server: Influxd

  afterEach(async () => {
    await server?.dispose()
  })

  it.each(SCENARIOS)('$name: the same points as influxd has', async (scenario) => {
    server = await startInfluxd({ config: CONFIG })
    const { shards, expected, after } = await play(server, scenario)
    const { rows, damage } = await convertShards(shards)
    expect(expected.length).toBeGreaterThan(0)
    expect(rows).toEqual(expected)
    expect(damage).toEqual(scenario.damage ?? [])
    expect(shards.map((segments) => segments.length)).toContain(scenario.segments ?? 1)
    if (scenario.loses === true) expect(after.length).toBeLessThan(expected.length)
  })
  it('answers the same from the TSM files made of it', async () => {
    server = await startInfluxd({ config: CONFIG, indexVersion: 'tsi1' })
    const [scenario] = SCENARIOS
    if (scenario === undefined) throw new Error('no scenario')
    const { expected } = await play(server, scenario)
    await server.kill()
    for (const shard of new Set((await walFiles(server)).map(dirname))) {
      await replaceWal(server, relative(server.dirs.wal, shard))
    }
    await server.start()
    expect(await dump(server)).toEqual(expected)
    expect(await walFiles(server)).toEqual([])
  })
})
