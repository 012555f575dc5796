import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapJson } from '../helpers/cli.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
/** The first nanosecond of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const SERIES = 4
/** What the backup has everywhere. */
const RIGHT = 3

/** The same numbers from 0 to 1 in each run. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

/** Points of one series at many of the seconds of a few hours: a file has several blocks of them, with gaps. */
function pointsOf(name: string, value: number, next: () => number): string[] {
  const from = Math.floor(next() * 6000)
  const count = 6000 + Math.floor(next() * 8000)
  const seconds = Array.from({ length: count }, (_, i) => from + i).filter(() => next() < 0.7)
  return seconds.map((at) => `cpu,host=${name} value=${value} ${OLD + BigInt(at) * SECOND}`)
}

/** A line without its value. */
function placeOf(line: string): string {
  return line.slice(0, line.lastIndexOf(','))
}

for (const index of ['inmem', 'tsi1'] as const) {
  describeWithInfluxd(`points that influxd ${index} returns from the wrong file`, () => {
    let server: Influxd
    let target: string
    let expected: number
    let words: string[]

    beforeAll(async () => {
      server = await startInfluxd({ indexVersion: index })
      await server.query('CREATE DATABASE src; CREATE DATABASE live')
      const next = numbers(7)
      const names = Array.from({ length: SERIES }, (_, i) => `h${i}`)
      for (const value of [1, 2]) {
        for (const name of names) await server.write(pointsOf(name, value, next), { db: 'live' })
        await server.flush()
      }
      await server.write([`cpu value=1 ${OLD}`, `cpu,host=own value=9 ${OLD}`], { db: 'live' })
      const lines = names.flatMap((name) => pointsOf(name, RIGHT, next))
      expected = lines.length
      await server.write(lines, { db: 'src' })
      target = await tempDir('target')
      await snapJson(['backup', '--host', server.host, '--db', 'src', target])
      const http = ['--host', server.host, '--http', server.httpUrl]
      words = ['restore', '--merge', '--on-conflict', 'backup', ...http, '--newdb', 'live', target]
    })

    afterAll(async () => {
      await server.dispose()
    })

    /** How many points have the value that the backup gave them. */
    async function countRight(): Promise<number> {
      const [row] = await server.query(`SELECT count(value) FROM cpu WHERE value = ${RIGHT}`, {
        db: 'live',
      })
      return Number(row?.values?.[0]?.[1])
    }

    it('are found, each of them, and found again', async () => {
      for (const _ of ['first', 'again']) {
        const { code, stdout } = await snap([...words, '--json'])
        const { shards, error } = JSON.parse(stdout)
        expect(shards, stdout).toHaveLength(1)
        const [overruled] = shards[0].overruled
        expect([code, error.hint]).toEqual([3, expect.stringContaining('--replace-shard')])
        expect(overruled).toMatchObject({ database: 'live', isCold: true })
        expect(overruled.first).toMatch(/^cpu,host=h\d value at \d+: expected 3, got [12]$/)
        expect(overruled.points).toBe(expected - (await countRight()))
        expect(overruled.points).toBeGreaterThan(0)
      }
    })

    /** All points, a line each, in order. */
    async function points(): Promise<string[]> {
      const text = await server.queryCsv('SELECT value FROM live.autogen.cpu GROUP BY *')
      return text.trimEnd().split('\n').slice(1).sort()
    }

    it('are right in a shard that is made anew, beside all that was live', async () => {
      const before = await points()
      const [{ id = 0 } = {}] = (await server.shards()).filter(
        ({ database }) => database === 'live',
      )
      const replaced = await snapJson([...words, '--replace-shard', `${id}`])
      expect(replaced).toMatchObject({
        ...{ replaced: [`${id}`], equal: expected, shards: [{ overruled: [] }] },
      })
      for (const _ of ['now', 'after a restart']) {
        expect(await countRight()).toBe(expected)
        const after = await points()
        expect(after.map(placeOf)).toEqual(before.map(placeOf))
        // What was live alone, and came from the wrong file, is right now too.
        const changed = after.filter((line, i) => line !== before[i])
        expect(changed.filter((line) => /,1$/.test(line))).toEqual([])
        await server.restart()
      }
      const shards = await server.shards()
      expect(shards.some((shard) => shard.id === id)).toBe(false)
      expect(await snapJson(words)).toMatchObject({ equal: expected, shards: [{ overruled: [] }] })
    })
  })
}
