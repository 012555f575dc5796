import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sortBlock } from '../../src/tsm/arrange.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { formatCompositeKey, formatSeriesKey } from '../../src/tsm/series-key.ts'
import { TsmSetWriter } from '../../src/tsm/set-writer.ts'
import { type Block, stringColumn } from '../../src/tsm/values.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { identifier } from '../helpers/odd-data.ts'
import {
  closeAll,
  collect,
  normalized,
  openDirectory,
  parsePoints,
  shown,
  type Value,
  valueAt,
} from '../tsm/fixtures.ts'

const T0 = 1_600_000_000_000_000_000n

// a small generator, so that every run has the same points
let state = 99
function random(): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
  return state / 2 ** 32
}

type Step = (i: number) => bigint

const every10s: Step = () => 10_000_000_000n
const jitter: Step = () => BigInt(1 + Math.floor(random() * 1e6)) * 1000n
const wild: Step = () => BigInt(1 + Math.floor(random() * 2 ** 52))

function times(count: number, step: Step): BigInt64Array {
  let time = T0
  return BigInt64Array.from({ length: count }, (_, i) => (time += step(i)))
}

const words = ['', 'on', 'ünïcödé ☃', 'a "quoted", \\ one', 'x'.repeat(70_000)]

function columns(): [string, string, Block][] {
  const list: [string, string, Block][] = []
  for (const [name, step] of Object.entries({ every10s, jitter, wild })) {
    const n = 2345
    const strings = Array.from({ length: 300 }, (_, i) => Buffer.from(words[i % 5] ?? ''))
    const integers = BigInt64Array.from(
      { length: n },
      () => BigInt(Math.floor(random() * 2 ** 52)) - 2n ** 51n,
    )
    const extremes = BigInt64Array.from({ length: 10 }, (_, i) =>
      i % 2 ? 2n ** 63n - 1n : -(2n ** 63n),
    )
    list.push(
      [
        name,
        'float',
        {
          type: 'float',
          times: times(n, step),
          values: Float64Array.from({ length: n }, () => random() - 0.5),
        },
      ],
      [name, 'integer', { type: 'integer', times: times(n, step), values: integers }],
      [name, 'ex,tre me=s', { type: 'integer', times: times(10, step), values: extremes }],
      [
        name,
        'boolean',
        {
          type: 'boolean',
          times: times(n, step),
          values: Uint8Array.from({ length: n }, () => random() * 2),
        },
      ],
      [name, 'string', { type: 'string', times: times(300, step), values: stringColumn(strings) }],
    )
  }
  return list
}

// Writes `points` as a generation of TSM files into the directory of a shard.
async function writeSet(
  directory: string,
  generation: number,
  points: Map<string, Block>,
): Promise<void> {
  const writer = new TsmSetWriter({
    generation,
    sequence: 1,
    limit: 200_000,
    async open(name) {
      const file = createWriteStream(join(directory, name))
      return {
        async write(chunk) {
          file.write(chunk)
        },
        async close() {
          file.end()
          await finished(file)
        },
      }
    },
  })
  const sorted = [...points].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const [key, block] of sorted) await writer.writeValues(Buffer.from(key), sortBlock(block))
  await writer.finish()
}

const measurement = 'odd, measure=ment'

function keyOf(name: string, field: string): string {
  const tag = (key: string, value: string) => ({ key: Buffer.from(key), value: Buffer.from(value) })
  const seriesKey = formatSeriesKey({
    measurement: Buffer.from(measurement),
    tags: [tag('step', name), tag('ta g', 'a=b, c')],
  })
  return Buffer.from(formatCompositeKey({ seriesKey, field: Buffer.from(field) })).toString()
}

describeWithInfluxd('TSM files that we write', () => {
  let server: Influxd
  let shard: string
  const expected = new Map<string, Value>()

  function expectBlock(key: string, block: Block): void {
    block.times.forEach((time, i) => {
      expected.set(`${Buffer.from(key).toString('latin1')} ${time}`, valueAt(block, i))
    })
  }

  beforeAll(async () => {
    const config = { data: { 'compact-full-write-cold-duration': '1s' } }
    server = await startInfluxd({ config })
    await server.query('CREATE DATABASE db WITH SHARD DURATION 90000d NAME autogen')
    await server.write(`marker v=1 ${T0}`, { db: 'db' })
    await server.flush()
    await server.stop()
    expected.set(`marker#!~#v ${T0}`, 1)
    const [id = ''] = await readdir(join(server.dirs.data, 'db/autogen'))
    shard = join(server.dirs.data, 'db/autogen', id)
    const first = new Map(columns().map(([name, field, block]) => [keyOf(name, field), block]))
    await writeSet(shard, 100, first)
    for (const [key, block] of first) expectBlock(key, block)
    // a later file that overwrites some of it
    const key = keyOf('every10s', 'integer')
    const again: Block = {
      type: 'integer',
      times: times(700, every10s),
      values: new BigInt64Array(700),
    }
    await writeSet(shard, 200, new Map([[key, again]]))
    expectBlock(key, again)
  })
  afterAll(() => server?.dispose())

  async function expectAnswers(): Promise<void> {
    const answers = new Map<string, string>()
    for (const name of [measurement, 'marker']) {
      const csv = await server.queryCsv(`SELECT * FROM ${identifier(name)} GROUP BY *`, {
        db: 'db',
      })
      for (const [key, text] of parsePoints(csv)) answers.set(key, text)
    }
    // CSV cannot tell an empty string from none
    const visible = [...expected].filter(([, value]) => value !== '')
    expect(answers.size).toBe(visible.length)
    for (const [key, value] of visible) {
      const text = normalized(value, answers.get(key) ?? 'nothing')
      if (text !== shown(value)) expect(`${key} ${text}`).toBe(`${key} ${shown(value)}`)
    }
  }

  async function expectFiles(): Promise<void> {
    const sources = await openDirectory(shard)
    expect(await collect(mergeTsm(sources))).toEqual(expected)
    await closeAll(sources)
  }

  it('are opened and queried by influxd', async () => {
    expect(
      (await readdir(shard)).filter((name) => name.startsWith('000000100')).length,
    ).toBeGreaterThan(1)
    await expectFiles()
    await server.start()
    await expectAnswers()
  })

  it('are compacted by influxd', async () => {
    for (let i = 0; ; i++) {
      const files = (await readdir(shard)).filter((name) => name.includes('.tsm'))
      if (files.length === 1) break
      if (i === 300) throw new Error(`no full compaction: ${files}\n${server.log().slice(-2000)}`)
      await sleep(200)
    }
    await expectAnswers()
    await expectFiles()
  }, 120_000)

  it('take deletes by influxd', async () => {
    const [from, to] = [T0 + 50_000_000_000n, T0 + 5_000_000_000_000n]
    const q = `DELETE FROM ${identifier(measurement)} WHERE step = 'every10s' AND time >= ${from} AND time <= ${to}`
    await server.query(q, { db: 'db' })
    for (const key of expected.keys()) {
      const time = BigInt(key.slice(key.lastIndexOf(' ') + 1))
      if (key.includes('step=every10s') && time >= from && time <= to) expected.delete(key)
    }
    await expectAnswers()
    await expectFiles()
  })

  it('are found with the index tsi1 as well', async () => {
    await server.stop()
    // an empty index is built when the shard is opened; without one it would be opened as inmem
    await rm(join(shard, 'fields.idx'), { force: true })
    await mkdir(join(shard, 'index'))
    const stopped = server
    server = await startInfluxd({ dir: server.root, indexVersion: 'tsi1' })
    await expectAnswers()
    expect((await readdir(join(shard, 'index'))).length).toBeGreaterThan(0)
    await server.stop()
    server = stopped
  })
})
