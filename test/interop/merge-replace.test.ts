import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { snap, snapExpecting, snapJson, startSnap } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
/** The first nanosecond of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const UPLOAD = 7

/** What happens to a request on its way: it goes through, or its answer does not come back, or it never arrives. */
type Fate = 'passes' | 'is answered to nobody' | 'is lost'

/** Starts an HTTP proxy in front of an influxd. `fateOf` sees each request. */
async function startHttpProxy(target: string, fateOf: (url: string, body: string) => Fate) {
  const answering = new Set<Promise<unknown>>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { url = '', method = 'GET', headers } = request
    const fate = fateOf(url, body.toString('latin1').replaceAll('+', ' '))
    if (fate === 'is lost') return void response.destroy()
    const { 'content-type': type = '', 'content-encoding': encoding } = headers
    const asked = fetch(target + url, {
      method,
      headers: { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) },
      ...(body.length > 0 && { body }),
    })
    answering.add(asked)
    const answer = await asked
    const text = await answer.text()
    if (fate === 'is answered to nobody') return void response.destroy()
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  const settled = async () => void (await Promise.allSettled(answering))
  return { url: `http://127.0.0.1:${port}`, close, settled }
}

/** Where a run is killed: at which upload, or what becomes of which request then. */
interface Death {
  readonly upload?: number
  readonly request?: RegExp
  readonly fate?: Fate
  /** The server has removed the files of the shard, and still lists it. */
  readonly isHalfGone?: boolean
}

const IS_SLOW = process.env.SLOW === '1'
const DEATHS: readonly (readonly [when: string, death: Death])[] = [
  ['before the shard is dropped', { request: /DROP SHARD/, fate: 'is lost' }],
  ['while the server drops it', { request: /DROP SHARD/, fate: 'is lost', isHalfGone: true }],
  ['when it was dropped', { request: /DROP SHARD/, fate: 'is answered to nobody' }],
  ['at the first point of the new shard', { request: /^\/write/, fate: 'is answered to nobody' }],
  ['in the upload of the backup', { upload: 0 }],
  ['in the upload of what was live', { upload: 1 }],
]

for (const [turn, index] of (['inmem', 'tsi1'] as const).entries()) {
  // Each is a matter of what is where, and not of the index.
  const deaths = DEATHS.filter((_, i) => IS_SLOW || i % 2 === turn)
  describeWithInfluxd(`snap restore --merge --replace-shard with ${index}`, () => {
    let server: Influxd
    let target: string

    beforeAll(async () => {
      server = await startInfluxd({ indexVersion: index })
      await server.query('CREATE DATABASE src')
      const rows = Array.from({ length: 300 }, (_, i) => OLD + BigInt(2 * i) * SECOND)
      await server.write(
        rows.flatMap((at, i) => [`cpu,host=a value=${i}.5,text="b ${i}" ${at}`, `gone n=1i ${at}`]),
        { db: 'src' },
      )
      target = await tempDir('target')
      await snapJson(['backup', '--host', server.host, '--db', 'src', target])
    })

    afterAll(async () => {
      await server.dispose()
    })

    /** Other values at most times, points, series, fields and a measurement of its own, some deleted. Returns the shard. */
    async function reset(): Promise<string> {
      await server.query('DROP DATABASE live; CREATE DATABASE live')
      const rows = Array.from({ length: 300 }, (_, i) => OLD + BigInt(3 * i) * SECOND)
      const lines = rows.flatMap((at, i) => [
        `cpu,host=a value=${-i},own=${i % 2 === 0} ${at}`,
        `cpu,host=own,dc=x value=${i} ${at}`,
        `live\\ only,tag\\ 1=a\\,b "quoted ""=7i ${at}`,
        `cpu,host=deleted value=1 ${at}`,
      ])
      await server.write(
        lines.map((line) => line.replace('"quoted ""', 'plain')),
        { db: 'live' },
      )
      await server.flush()
      await server.query(`DELETE FROM cpu WHERE host = 'deleted'`, { db: 'live' })
      const shard = (await server.shards()).find(({ database }) => database === 'live')
      return String(shard?.id)
    }

    const dump = () => dumpAll(server, { db: 'live', series: false })
    const placeOf = (line: string) => JSON.stringify(JSON.parse(line).slice(2, -1))

    /** What there is when the backup has won, as the dump has it. */
    async function wanted(): Promise<string[]> {
      const backup = await dumpAll(server, { db: 'src', dbAs: 'live', series: false })
      const taken = new Set(backup.map(placeOf))
      const live = (await dump()).filter((line) => !taken.has(placeOf(line)))
      return [...backup, ...live].sort()
    }

    async function removeFilesOf(shard: string): Promise<void> {
      await server.stop()
      for (const dir of [server.dirs.data, server.dirs.wal]) {
        await rm(join(dir, 'live/autogen', shard), { recursive: true })
      }
      await server.start()
    }

    it.each(deaths)('loses nothing when it is killed %s, and is gone on with', async (_, death) => {
      const shard = await reset()
      const [before, after] = [await dump(), await wanted()]
      const keptIn = await tempDir('kept')
      let isArmed = true
      let kill = () => {}
      const die = () => {
        isArmed = false
        kill()
      }
      let isDropped = false
      const http = await startHttpProxy(server.httpUrl, (url, body) => {
        const isDrop = body.includes('DROP SHARD')
        const isMeant = death.request?.test(isDrop ? body : url) && (isDropped || isDrop)
        if (isDrop) isDropped = true
        if (!isArmed || !isMeant) return 'passes'
        die()
        return death.fate ?? 'passes'
      })
      const proxy = await startFaultProxy(server.host, (type, count) => {
        if (!isArmed || type !== UPLOAD || count !== death.upload) return {}
        die()
        return { toServer: { cut: { after: 300, how: 'rst' } } }
      })
      const words = [
        ...['restore', '--merge', '--on-conflict', 'backup', '--replace-shard', shard],
        ...['--replaced-dir', keptIn, '--host', proxy.host, '--http', http.url, '--newdb', 'live'],
        target,
      ]
      try {
        const running = startSnap(words)
        kill = () => running.kill('SIGKILL')
        const { stderr } = await running.finished
        expect(isArmed).toBe(false)
        await http.settled()
        const [, ...putBack] =
          /snap (restore --merge --host .*)/.exec(stderr)?.[1]?.split(' ') ?? []
        const isThere = (await server.shards()).some(({ id }) => String(id) === shard)
        if (death.isHalfGone) await removeFilesOf(shard)
        else if (isThere) expect(await dump()).toEqual(before)
        else {
          await snapExpecting(0, ['restore', ...putBack])
          const kept = new Set(await dump())
          const places = new Set([...kept].map(placeOf))
          expect(before.filter((line) => !places.has(placeOf(line)))).toEqual([])
        }
        await snapExpecting(0, words)
        expect(await dump()).toEqual(after)
        expect(await readdir(keptIn)).toEqual([])
        const { code } = await snap(words)
        expect(code).toBe(16)
      } finally {
        await proxy.close()
        await http.close()
      }
    })

    it('shows all series after a restart', async () => {
      await server.restart()
      const series = await dumpAll(server, { db: 'live' })
      expect(series.filter((line) => JSON.parse(line).length === 2)).toHaveLength(4)
    })

    it('says why it does not', async () => {
      const shard = await reset()
      const before = await dump()
      const http = ['--host', server.host, '--http', server.httpUrl]
      const refused = async (...words: string[]) => {
        const all = ['restore', '--merge', ...http, '--newdb', 'live', ...words, target]
        const { code, stderr } = await snap(all)
        return [code, stderr]
      }
      const wins = ['--on-conflict', 'backup', '--replaced-dir', await tempDir('kept')]
      expect(await refused('--replace-shard', shard)).toEqual([
        2,
        expect.stringContaining('--on-conflict backup'),
      ])
      expect(await refused(...wins, '--replace-shard', '999')).toEqual([
        16,
        expect.stringContaining('no such shard'),
      ])
      const source = (await server.shards()).find(({ database }) => database === 'src')
      expect(await refused(...wins, '--replace-shard', `${source?.id}`)).toEqual([
        15,
        expect.stringContaining('gets nothing of this backup'),
      ])
      await server.write(['cpu,host=a value=1'], { db: 'live' })
      const hot = (await server.shards()).filter(({ database }) => database === 'live').at(-1)
      expect(await refused(...wins, '--replace-shard', `${hot?.id}`)).toEqual([
        15,
        expect.stringContaining('its time is not over'),
      ])
      expect(await refused(...wins, '--dry-run', '--replace-shard', `${hot?.id}`)).toEqual([
        15,
        expect.stringContaining('its time is not over'),
      ])
      expect(await refused(...wins, '--replace-shard', shard, '--measurement', 'none')).toEqual([
        16,
        expect.stringContaining('has no points of this selection'),
      ])
      expect((await server.shards()).map(({ id }) => String(id))).toContain(shard)
      const dry = await refused(...wins, '--dry-run', '--replace-shard', shard)
      expect(dry[0]).toBe(0)
      await server.query(`DROP SHARD ${hot?.id}`)
      expect(await dump()).toEqual(before)
    })
  })
}
