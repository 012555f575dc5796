import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snapJson } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'

const DB = 'd'
const COMPACTED_MS = 90_000

/** Several files of the same series, with points written over others, deletions, and values of every type. */
async function loadFiles(server: Influxd): Promise<void> {
  await server.query(`CREATE DATABASE ${DB}`)
  for (let round = 0; round < 4; round++) {
    const times = Array.from({ length: 1500 }, (_, i) => (i * 3 + round * 1000) * 1_000_000_000)
    const lines = ['a', 'b'].flatMap((host) =>
      times.map((time) => {
        const n = time / 1e9 + round
        return `cpu,host=${host} f=${n / 8},i=${n}i,b=${n % 2 === 0},s="round ${round}" ${time}`
      }),
    )
    await server.write(lines, { db: DB })
    await server.flush()
  }
  await server.query(`DELETE FROM cpu WHERE host = 'a' AND time >= 2000s AND time < 2500s`, {
    db: DB,
  })
  await server.write('cpu,host=a f=-1 2100000000000\nmem free=1i 7', { db: DB })
}

interface Fingerprinted {
  readonly shardId: string
  readonly points: number
  readonly fingerprint: string
  readonly exact: boolean
}

async function fingerprints(
  from: readonly string[],
): Promise<readonly Omit<Fingerprinted, 'shardId'>[]> {
  const { shards } = await snapJson(['backup', '--db', DB, ...from, await tempDir('target')])
  const list = shards as readonly Fingerprinted[]
  return list.map(({ points, fingerprint, exact }) => ({ points, fingerprint, exact }))
}

describeWithInfluxd('the fingerprint of a shard', () => {
  let server: Influxd
  let first: Awaited<ReturnType<typeof fingerprints>>

  beforeAll(async () => {
    const config = { data: { 'compact-full-write-cold-duration': '24h' } }
    server = await startInfluxd({ config })
    await loadFiles(server)
    first = await fingerprints(['--host', server.host])
  })

  afterAll(async () => {
    await server.stop()
  })

  it('is exact where files overlap and points are deleted, and counts what a query does', async () => {
    expect(first).toEqual([expect.objectContaining({ exact: true })])
    const [points] = await server.query('SELECT count(f), count(i), count(b), count(s) FROM cpu', {
      db: DB,
    })
    const [, ...counts] = points?.values?.[0] ?? []
    const total = counts.reduce<number>((sum, count) => sum + Number(count), 0)
    expect(first[0]?.points).toBe(total + 1)
  })

  it('is the same read from the directory, WAL included', async () => {
    expect(await fingerprints(directoryFlags(server.dirs))).toEqual(first)
  })

  it('is the same after influxd has compacted everything into one file', async () => {
    await server.stop()
    const config = { data: { 'compact-full-write-cold-duration': '1s' } }
    server = await startInfluxd({ dir: server.root, config })
    const [shard = ''] = await readdir(join(server.dirs.data, DB, 'autogen'))
    const deadline = Date.now() + COMPACTED_MS
    const files = async () => {
      const names = await readdir(join(server.dirs.data, DB, 'autogen', shard))
      return names.filter((name) => /\.(?:tsm|tombstone)$/.test(name)).length
    }
    while ((await files()) > 1 && Date.now() < deadline) await sleep(200)
    expect(await files()).toBe(1)
    expect(await fingerprints(['--host', server.host])).toEqual(first)
  })
})
