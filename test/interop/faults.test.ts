import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { snapExpecting, startSnap } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { type Fault, type Script, startFaultProxy } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { freePort } from '../helpers/ports.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'

/** Longer than a metastore or an answer about one, shorter than the shard's tar. */
const WITHIN_THE_SHARD = 50_000
const ALL = 100

describeWithInfluxd('a backup over a bad line', () => {
  let source: Influxd
  let dump: string[]

  beforeAll(async () => {
    source = await startInfluxd()
    await source.query('CREATE DATABASE d')
    const lines = Array.from({ length: 20_000 }, (_, index) => {
      return `m,host=h${index % 10} v=${Math.sin(index)},s="${Math.cos(index)}" ${index}000000000`
    })
    await source.write(lines, { db: 'd' })
    await source.flush()
    dump = await dumpAll(source)
  })
  afterAll(async () => {
    await source?.dispose()
  })

  const through = async (scripts: readonly Script[]) => await startFaultProxy(source.host, scripts)
  const always = (fault: Fault): Script[] =>
    Array.from({ length: ALL }, () => ({ toClient: fault }))
  const cutWithin: Fault = { cut: { after: WITHIN_THE_SHARD, how: 'fin' } }
  const resetWithin: Fault = { cut: { after: WITHIN_THE_SHARD, how: 'rst' } }

  it.each([
    ['a clean end', cutWithin],
    ['a reset', resetWithin],
  ])('tries again after %s and has everything', async (_, fault) => {
    let bad = 0
    // Two answers are cut that are long enough, however many short ones come between.
    const script: Script = {
      get toClient() {
        bad = proxy.connections.filter(({ toClient }) => toClient === WITHIN_THE_SHARD).length
        return bad < 2 ? fault : {}
      },
    }
    const proxy = await through(Array.from({ length: ALL }, () => script))
    const dir = await tempDir('again')
    await snapExpecting(0, ['backup', '--host', proxy.host, dir])
    expect(bad).toBe(2)
    await proxy.close()
    const target = await startInfluxd()
    await snapExpecting(0, ['restore', '--host', target.host, dir])
    expect(await dumpAll(target)).toEqual(dump)
    await target.dispose()
  })

  it.each([
    ['ends in the shard', always(cutWithin), []],
    ['is reset in the shard', always(resetWithin), []],
    ['ends in the metastore', always({ cut: { after: 100, how: 'fin' } }), []],
    ['ends before the first byte', always({ cut: { after: 0, how: 'fin' } }), []],
    [
      'is silent in the shard',
      always({ stall: { after: WITHIN_THE_SHARD } }),
      ['--idle-timeout', '300ms'],
    ],
    ['never says a word', always({ stall: { after: 0 } }), ['--first-byte-timeout', '300ms']],
  ])('fails with 14 and leaves nothing when the line %s', async (_, scripts, flags) => {
    const proxy = await through(scripts)
    const dir = await tempDir('failed')
    const finished = await snapExpecting(14, ['backup', '--host', proxy.host, ...flags, dir])
    expect(finished.stderr).toContain(proxy.host)
    expect(await filesOf(dir)).toEqual([])
    await proxy.close()
  })

  it('fails at once where nobody listens', async () => {
    const host = `127.0.0.1:${await freePort()}`
    const dir = await tempDir('refused')
    const { stderr } = await snapExpecting(14, ['backup', '--host', host, dir])
    expect(stderr).not.toContain('next in')
    expect(await filesOf(dir)).toEqual([])
  })

  it.each([7, 1000])('reads an answer that comes in pieces of %i bytes', async (chunk) => {
    // The metastore and what is asked about it only: a shard a few bytes at a time takes minutes.
    const proxy = await through([{ toClient: { chunk }, toServer: { chunk: 1 } }])
    const dir = await tempDir('pieces')
    await snapExpecting(0, ['backup', '--host', proxy.host, dir])
    await proxy.close()
  })

  describe('that is interrupted', () => {
    const slow = always({ delay: 20, chunk: 16_384 })

    it.each([0, 10_000, 60_000, 200_000])(
      'by SIGKILL after %i bytes leaves no backup',
      async (bytes) => {
        const { dir } = await interrupted('SIGKILL', bytes)
        const files = await readdir(dir)
        expect(
          files.filter((name) => !name.endsWith('.pending') && name.includes('manifest')),
        ).toEqual([])
        // What is left may stand in nobody's way.
        await snapExpecting(0, ['backup', '--host', source.host, dir])
      },
    )

    it.each([
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const)('by %s leaves nothing and ends with %i', async (signal, code) => {
      const { dir, finished } = await interrupted(signal, 60_000)
      expect(finished.code, finished.stderr).toBe(code)
      expect(await filesOf(dir)).toEqual([])
    })

    async function interrupted(signal: NodeJS.Signals, bytes: number) {
      const proxy = await through(slow)
      const dir = await tempDir('interrupted')
      const running = startSnap(['backup', '--host', proxy.host, dir])
      while (passed(proxy.connections) < bytes && running.child.exitCode === null) await sleep(5)
      running.kill(signal)
      const finished = await running.finished
      await proxy.close()
      return { dir, finished }
    }
  })
})

function passed(connections: readonly { readonly toClient: number }[]): number {
  return connections.reduce((sum, { toClient }) => sum + toClient, connections.length > 0 ? 0 : -1)
}
