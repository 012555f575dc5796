import { afterAll, beforeAll, expect, it } from 'vitest'
import { encodeLineProtocol, type LeftOut } from '../../src/formats/line-protocol.ts'
import type { FieldPoints } from '../../src/formats/points.ts'
import { bytesAccess } from '../../src/io/random-access.ts'
import { readShardTar } from '../../src/tar/reader.ts'
import { mergeTsm } from '../../src/tsm/merge.ts'
import { openTsm } from '../../src/tsm/reader.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { identifier, loadOddData, oddData } from '../helpers/odd-data.ts'
import { collect, fieldPoints, keyOf, stream } from './blocks.ts'

/** The points of a shard, as its server sends it. */
async function* shardPoints(server: Influxd, id: number): AsyncGenerator<FieldPoints> {
  const sources = []
  for await (const { name, body } of readShardTar(stream([await server.shardTar(id)]))) {
    const bytes = await collect(body)
    if (name.endsWith('.tsm')) sources.push({ file: await openTsm(bytesAccess(bytes, name)) })
  }
  yield* mergeTsm(sources)
}

async function keysOf(server: Influxd, id: number): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of shardPoints(server, id)) keys.push(Buffer.from(key).toString())
  return keys.sort()
}

describeWithInfluxd('line protocol and a real influxd', () => {
  let source: Influxd
  let target: Influxd
  beforeAll(async () => {
    source = await startInfluxd()
    target = await startInfluxd()
  })
  afterAll(async () => {
    await source.dispose()
    await target.dispose()
  })

  it('takes back every point of every type', async () => {
    await loadOddData(source)
    const policies = new Set<string>()
    for (const { database, name, create } of oddData()) {
      const db = identifier(database)
      await target.query(`CREATE DATABASE ${db}`)
      if (create === undefined) continue
      await target.query(`CREATE RETENTION POLICY ${identifier(name)} ON ${db} ${create}`)
    }
    for (const { id, database, retentionPolicy } of await source.shards()) {
      policies.add(`${database} ${retentionPolicy}`)
      const left: LeftOut[] = []
      const lines = encodeLineProtocol(shardPoints(source, id), {
        onLeftOut: (item) => left.push(item),
      })
      const text = (await collect(lines)).toString()
      await target.write(text, { db: database, rp: retentionPolicy })
      expect(left).toEqual([])
    }
    expect(policies.size).toBe(oddData().length)
    expect(await dumpAll(target)).toEqual(await dumpAll(source))
  })

  it('reads the names that are written', async () => {
    const names = namesOf('a\\,= "#é\n')
    const keys = names.flatMap((name) => [
      keyOf({ measurement: `m${name}`, tags: [] }, 'f'),
      keyOf({ measurement: name, tags: [] }, 'f'),
      keyOf({ measurement: 'm', tags: [[name, 'v']] }, 'f'),
      keyOf({ measurement: 'm', tags: [['t', name]] }, 'f'),
      keyOf({ measurement: 'm', tags: [['t', 'v']] }, name),
    ])
    const left: Buffer[] = []
    const points = { type: 'string', times: [1n], values: ['"\n#'] } as const
    const fields = stream(keys.map((key) => fieldPoints(key, points)))
    const lines = await collect(
      encodeLineProtocol(fields, { onLeftOut: ({ key }) => left.push(Buffer.from(key)) }),
    )
    await target.query('CREATE DATABASE names')
    // influxd answers 400 if it cannot parse any line.
    await target.write(lines.toString(), { db: 'names' })
    const shard = (await target.shards()).find(({ database }) => database === 'names')
    const written = new Set(keys.map((key) => Buffer.from(key).toString()))
    for (const key of left) written.delete(key.toString())
    expect(await keysOf(target, shard?.id ?? 0)).toEqual([...written].sort())
    expect(written.size).toBeGreaterThan(1500)
  })

  it('would misread, or refuse, the names that are left out', async () => {
    const keys = namesOf('a\\,= "#')
      .filter((name) => name.length < 3)
      .flatMap((name) => [
        keyOf({ measurement: name, tags: [] }, 'f'),
        keyOf({ measurement: 'm', tags: [['t', name]] }, 'f'),
        keyOf({ measurement: 'm', tags: [] }, name),
      ])
    const left: string[] = []
    const point = { type: 'float', times: [1n], values: [1] } as const
    const fields = stream(keys.map((key) => fieldPoints(key, point)))
    const onLeftOut = (item: LeftOut) => left.push(Buffer.from(item.key).toString())
    await collect(encodeLineProtocol(fields, { onLeftOut }))
    expect(left.length).toBeGreaterThan(20)
    await target.query('CREATE DATABASE left')
    await target.write('known f=1 1', { db: 'left' })
    for (const key of left) {
      const line = key.replace(
        /#!~#(.*)$/,
        (_, field) => ` ${field.replace(/[,= "]/g, '\\$&')}=1 1`,
      )
      await target.write(line, { db: 'left' }).catch(() => {})
    }
    const shard = (await target.shards()).find(({ database }) => database === 'left')
    const read = await keysOf(target, shard?.id ?? 0)
    expect(read.filter((key) => left.includes(key))).toEqual([])
  })
})

/** Every text of one to three of these characters. */
function namesOf(characters: string): string[] {
  const ones = [...characters].map((text) =>
    text === 'é' ? Buffer.from(text).toString('latin1') : text,
  )
  const twos = ones.flatMap((a) => ones.map((b) => a + b))
  return [...ones, ...twos, ...twos.flatMap((a) => ones.map((b) => a + b))]
}
