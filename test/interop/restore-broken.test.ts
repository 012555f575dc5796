import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contextOf, runIn } from '../cli/harness.ts'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { type Fault, type ScriptFor, startFaultProxy } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { tempDir } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

/** Request types. */
const SHARD_BACKUP = 0
const METASTORE_UPDATE = 6
const SHARD_UPLOAD = 7

const INDEXES = ['inmem', 'tsi1'] as const
/** More than the opening of an upload, less than the first shard. */
const WITHIN = 3000

describeWithInfluxd('a restore over a bad line', () => {
  let source: Influxd
  let dump: string[]
  let set: string

  beforeAll(async () => {
    source = await startInfluxd()
    await source.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1h NAME hourly')
    const lines = Array.from({ length: 4000 }, (_, i) => {
      return `m,host=h${i % 10} v=${Math.sin(i)},s="${Math.cos(i)}" ${i}000000000`
    })
    await source.write([...lines, `other b=true ${10n ** 18n}`], { db: 'd' })
    dump = await dumpAll(source)
    set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', source.host, set])
  })
  afterAll(async () => {
    await source?.dispose()
  })

  async function targetWith(scripts: ScriptFor, indexVersion: 'inmem' | 'tsi1' = 'inmem') {
    const target = await startInfluxd({ indexVersion })
    const proxy = await startFaultProxy(target.host, scripts)
    const state = await tempDir('state')
    const env = { XDG_STATE_HOME: state }
    return {
      target,
      /** Restores over the bad line. */
      restore: (code: number, ...flags: string[]) =>
        snapExpecting(code, ['restore', '--host', proxy.host, '--jobs', '1', ...flags, set], {
          env,
        }),
      env,
      host: proxy.host,
      states: async () => await readdir(join(state, 'influx-snap')).catch(() => []),
      close: async () => {
        await proxy.close()
        await target.dispose()
      },
    }
  }

  /** The fault hits uploads from `first` to `last`, counted from 0. */
  const uploads =
    (fault: Fault, first = 0, last = Number.POSITIVE_INFINITY): ScriptFor =>
    (type, before) =>
      type === SHARD_UPLOAD && before >= first && before <= last ? { toServer: fault } : {}

  describe.each(INDEXES)('to %s', (indexVersion) => {
    it.each([
      ['is reset in an upload', uploads({ cut: { after: WITHIN, how: 'rst' } }, 0, 0)],
      ['ends in an upload', uploads({ cut: { after: WITHIN, how: 'fin' } }, 0, 0)],
      ['is reset in the second upload', uploads({ cut: { after: WITHIN, how: 'rst' } }, 1, 1)],
      [
        'loses the end of an upload that arrived',
        (type, before) =>
          type === SHARD_UPLOAD && before === 0 ? { toClient: { stall: { after: 0 } } } : {},
      ],
      [
        'is reset in an upload and in the look at what it left',
        (type, before) => {
          const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
          if (type === SHARD_UPLOAD && before === 0) return { toServer: fault }
          if (type === SHARD_UPLOAD && before === 1) return { refuse: true }
          return type === SHARD_BACKUP && before === 2 ? { toClient: fault } : {}
        },
      ],
      [
        'is reset in the reading back',
        (type, before) =>
          type === SHARD_BACKUP && before === 1
            ? { toClient: { cut: { after: WITHIN, how: 'rst' } } }
            : {},
      ],
    ] as const satisfies readonly (readonly [string, ScriptFor])[])(
      'has everything after a line that %s',
      async (_, scripts) => {
        const { target, restore, states, close } = await targetWith(scripts, indexVersion)
        const { stderr } = await restore(0, '--upload-timeout', '3s')
        expect(stderr).toContain('try 1 failed')
        expect(await dumpAll(target)).toEqual(dump)
        expect(await states()).toEqual([])
        await close()
      },
    )
  })

  it('says what is left and how to remove it, and goes on with --resume', async () => {
    let isBad = true
    const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
    const bad: ScriptFor = (type, before) =>
      type === SHARD_UPLOAD && before > 0 && isBad ? { toServer: fault } : {}
    const { target, restore, states, close } = await targetWith(bad)
    const failed = await restore(15, '--retries', '1')
    // The order is that of influxd's map of shard ids.
    expect(failed.stderr).toMatch(/left on .*: database "d": .*shards with data: 1/)
    expect(failed.stderr).toMatch(/shards empty: (?:2, 3|3, 2)/)
    expect(failed.stderr).toContain('DROP DATABASE "d"')
    expect(await states()).toHaveLength(1)

    const refused = await restore(17)
    expect(refused.stderr).toContain('--resume')
    const again = await restore(15, '--retries', '0', '--resume')
    expect(again.stderr).toContain('--resume goes on')
    expect(await states()).toHaveLength(1)

    isBad = false
    const { stdout } = await restore(0, '--resume', '--json')
    expect(JSON.parse(stdout).shards.map((shard: { resumed: boolean }) => shard.resumed)).toEqual([
      true,
      false,
      false,
    ])
    expect(await dumpAll(target)).toEqual(dump)
    expect(await states()).toEqual([])
    await close()
  })

  it('drops over HTTP what a restore has made that failed', async () => {
    const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
    const { target, restore, states, close } = await targetWith(uploads(fault, 1))
    await target.query('CREATE DATABASE other')
    await target.write('m v=1 1', { db: 'other' })
    const before = await dumpAll(target)
    const { stderr } = await restore(15, '--retries', '0', '--http', target.httpUrl)
    expect(stderr).toContain('removed again')
    expect(await dumpAll(target)).toEqual(before)
    expect((await target.query('SHOW DATABASES'))[0]?.values).toEqual([['other']])
    expect(await states()).toEqual([])
    await close()
  })

  it('drops nothing that somebody else has written to', async () => {
    const { target, restore, close } = await targetWith(
      uploads({ cut: { after: WITHIN, how: 'rst' } }, 1),
    )
    const running = restore(15, '--retries', '2', '--http', target.httpUrl)
    await until(async () => (await names(target)).includes('d'))
    await target.write(`m v=1 ${10n ** 18n + 1n}`, { db: 'd' })
    const { stderr } = await running
    expect(stderr).toContain('something else writes to it')
    expect(await names(target)).toContain('d')
    await close()
  })

  it('refuses the HTTP API of a server that is not the one restored to', async () => {
    const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
    const { target, restore, close } = await targetWith(uploads(fault))
    // Once restored, the target would list the same databases and shards.
    const { stderr } = await restore(15, '--retries', '0', '--http', source.httpUrl)
    expect(stderr).toContain(`${source.httpUrl} is not the server`)
    expect(await names(source)).toContain('d')
    expect(await names(target)).toEqual([])
    await close()
  })

  it('does not take for its own what may be somebody else’s', async () => {
    const lost: ScriptFor = (type) =>
      type === METASTORE_UPDATE ? { toClient: { stall: { after: 0 } } } : {}
    const { target, restore, close } = await targetWith(lost)
    const flags = ['--first-byte-timeout', '3s']
    const { stderr } = await restore(15, ...flags, '--http', target.httpUrl)
    expect(stderr).toContain('it may be of this run')
    expect(await names(target)).toContain('d')
    await restore(0, '--resume')
    expect(await dumpAll(target)).toEqual(dump)
    await close()
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('cleans up after %s', async (signal, code) => {
    const slow: ScriptFor = (type) =>
      type === SHARD_UPLOAD ? { toServer: { delay: 20, chunk: 2000 } } : {}
    const { target, env, host, states, close } = await targetWith(slow)
    const args = ['restore', '--host', host, '--http', target.httpUrl, set]
    const context = contextOf(args, { env })
    const running = runIn(context)
    await until(async () => (await names(target)).includes('d'))
    context.signals.emit(signal)
    await running
    expect(context.exitCode(), context.stderr.text).toBe(code)
    expect(await names(target)).not.toContain('d')
    expect(await states()).toEqual([])
    await close()
  })

  it('says what goes on after SIGINT where nothing can be removed', async () => {
    const slow: ScriptFor = (type) =>
      type === SHARD_UPLOAD ? { toServer: { delay: 20, chunk: 2000 } } : {}
    const { target, env, host, restore, close } = await targetWith(slow)
    const context = contextOf(['restore', '--host', host, set], { env })
    const running = runIn(context)
    await until(async () => (await names(target)).includes('d'))
    context.signals.emit('SIGINT')
    await running
    expect(context.exitCode()).toBe(130)
    expect(context.stderr.text).toMatch(
      /\(E_INTERRUPTED\)\nhint: incomplete on .*: "d"; --resume goes on with it, DROP DATABASE "d" removes it/,
    )
    await restore(0, '--resume')
    await close()
  })

  it('notices a writer that had points in before', async () => {
    const slow: ScriptFor = (type, before) =>
      type === SHARD_UPLOAD && before === 0 ? { toServer: { delay: 20, chunk: 1000 } } : {}
    const { target, restore, close } = await targetWith(slow)
    const running = restore(15)
    await until(async () => (await names(target)).includes('d'))
    await target.write(`m v=1 ${10n ** 18n + 1n}`, { db: 'd' })
    const { stderr } = await running
    expect(stderr).toContain('not of this restore')
    expect((await target.query('SELECT v FROM m WHERE time > 1s', { db: 'd' })).length).toBe(1)
    await close()
  })

  it('takes points that are written afterwards for no difference', async () => {
    const slow: ScriptFor = (type, before) =>
      type === SHARD_BACKUP && before === 1 ? { toServer: { delay: 3000 } } : {}
    const { target, restore, close } = await targetWith(slow)
    const running = restore(0)
    const count = async () => {
      return (await target.query('SELECT count(v) FROM m', { db: 'd' }).catch(() => [])).length
    }
    await until(async () => (await count()) > 0)
    await target.write('m v=1 1', { db: 'd' })
    const { stderr } = await running
    expect(stderr).toContain('1 more point than were restored')
    await close()
  })

  it('reads finished shards back when it goes on', async () => {
    let isBad = true
    const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
    const bad: ScriptFor = (type, before) =>
      type === SHARD_UPLOAD && before > 0 && isBad ? { toServer: fault } : {}
    const { target, restore, close } = await targetWith(bad)
    await restore(15, '--retries', '0')
    isBad = false
    await target.query('DELETE FROM m WHERE time < 100s', { db: 'd' })
    const { stderr } = await restore(15, '--resume')
    expect(stderr).toContain('not of this restore')
    await close()
  })

  it('does not go on with a database that is another one by now', async () => {
    let isBad = true
    const fault: Fault = { cut: { after: WITHIN, how: 'rst' } }
    const { target, restore, close } = await targetWith((type) =>
      type === SHARD_UPLOAD && isBad ? { toServer: fault } : {},
    )
    await restore(15, '--retries', '0')
    await target.query('DROP DATABASE d')
    await target.query('CREATE DATABASE d')
    isBad = false
    const { stderr } = await restore(17, '--resume')
    expect(stderr).toContain('any more')
    await target.query('DROP DATABASE d')
    await restore(0, '--resume')
    expect(await dumpAll(target)).toEqual(dump)
    await close()
  })

  it('restores from the beginning with --resume when there is nothing to go on with', async () => {
    const { target, restore, close } = await targetWith(() => ({}))
    await restore(0, '--resume')
    expect(await dumpAll(target)).toEqual(dump)
    const { stderr } = await restore(17, '--resume')
    expect(stderr).not.toContain('was interrupted')
    await close()
  })

  it('is without state where none can be kept, and says so', async () => {
    const { target, host, close } = await targetWith(() => ({}))
    const args = ['restore', '--host', host, set]
    const env = { XDG_STATE_HOME: '/dev/null/nowhere' }
    const { stderr } = await snapExpecting(0, args, { env })
    expect(stderr).toContain('cannot be resumed')
    expect(await dumpAll(target)).toEqual(dump)
    await close()
  })

  it('lists what it would do for --json', async () => {
    const { host, close } = await targetWith(() => ({}))
    const document = await snapJson(['restore', '--host', host, '--dry-run', set])
    expect(document).toMatchObject({ dryRun: true, target: host })
    await close()
  })
})

async function names(server: Influxd): Promise<unknown[]> {
  const [series] = await server.query('SHOW DATABASES')
  return (series?.values ?? []).flat()
}
