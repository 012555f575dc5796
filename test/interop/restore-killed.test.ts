import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { contextOf, runIn } from '../cli/harness.ts'
import { snapExpecting, startSnap } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { describeWithInfluxd, type Influxd, startInfluxd } from '../helpers/influxd.ts'
import type { Running } from '../helpers/run.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { treeOf } from '../helpers/tree.ts'
import { until } from '../helpers/until.ts'

const INDEXES = ['inmem', 'tsi1'] as const

/** Waits until something is in a directory that a run is about to make. */
async function madeIn(path: string): Promise<void> {
  await until(async () => (await readdir(path).catch(() => [])).length > 0)
}
/** Bytes a second: slow enough to be met in the middle. */
const SLOWLY = ['--jobs', '1', '--limit-rate', '200k']

describeWithInfluxd('a restore that is killed', () => {
  let source: Influxd
  let dump: string[]
  let set: string

  beforeAll(async () => {
    source = await startInfluxd()
    await source.query('CREATE DATABASE d WITH DURATION INF SHARD DURATION 1h NAME hourly')
    const lines = Array.from({ length: 14_000 }, (_, i) => {
      return `m,host=h${i % 10} v=${Math.sin(i)},s="${Math.cos(i)}" ${i}000000000`
    })
    await source.write(lines, { db: 'd' })
    await source.query('CREATE DATABASE e')
    await source.write('m v=1 1', { db: 'e' })
    dump = await dumpAll(source)
    set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', source.host, set])
  })
  afterAll(async () => {
    await source?.dispose()
  })

  const stateFiles = async (state: string) =>
    await readdir(join(state, 'influx-snap')).catch(() => [])

  /** Lines of the journal: a header, two for each database, one for each shard. */
  async function linesIn(state: string): Promise<number> {
    const name = (await stateFiles(state)).find((file) => file.endsWith('.jsonl'))
    if (name === undefined) return 0
    return (await readFile(join(state, 'influx-snap', name), 'utf8')).split('\n').length - 1
  }

  /** Kills the run as soon as the journal has so many lines, and a bit later. */
  async function killAt(running: Running, state: string, lines: number): Promise<void> {
    await until(async () => (await linesIn(state)) >= lines || running.child.exitCode !== null)
    await sleep(100)
    running.kill('SIGKILL')
    expect((await running.finished).signal, running.output.stderr).toBe('SIGKILL')
  }

  // 1: around the metadata update, 3: in the first of four shards, 4 and 5: in the second and third.
  describe.each(INDEXES)('into a directory for %s', (indexVersion) => {
    it.each([1, 3, 4, 5])('after %i lines of its journal goes on with --resume', async (lines) => {
      const target = await startInfluxd({ indexVersion, dir: await tempDir('target') })
      await target.stop()
      const state = await tempDir('state')
      const env = { XDG_STATE_HOME: state }
      const place = [...directoryFlags(target.dirs), '--index-version', indexVersion]
      const args = ['restore', ...place]
      await killAt(startSnap([...args, ...SLOWLY, set], { env }), state, lines)
      // As if it had been killed before it made the shards that the metastore has already.
      if (lines === 1) await rm(join(target.dirs.data, 'd'), { recursive: true, force: true })
      const refused = await snapExpecting(17, [...args, set], { env })
      expect(refused.stderr).toContain('--resume')
      await snapExpecting(0, [...args, '--resume', set], { env })
      expect(await stateFiles(state)).toEqual([])
      await target.start()
      expect(await dumpAll(target)).toEqual(dump)
      await target.dispose()
    })
  })

  describe.each(INDEXES)('over the network to %s', (indexVersion) => {
    it.each([3, 4, 5])('after %i lines of its journal goes on with --resume', async (lines) => {
      const target = await startInfluxd({ indexVersion })
      const state = await tempDir('state')
      const env = { XDG_STATE_HOME: state }
      const args = ['restore', '--host', target.host]
      await killAt(startSnap([...args, ...SLOWLY, set], { env }), state, lines)
      await snapExpecting(0, [...args, '--resume', set], { env })
      expect(await stateFiles(state)).toEqual([])
      expect(await dumpAll(target)).toEqual(dump)
      await target.dispose()
    })
  })

  it('keeps a second run of the same away while it runs', async () => {
    const target = await startInfluxd()
    const env = { XDG_STATE_HOME: await tempDir('state') }
    const args = ['restore', '--host', target.host]
    const first = startSnap([...args, ...SLOWLY, set], { env })
    await until(async () => (await linesIn(env.XDG_STATE_HOME)) >= 3)
    // It is not to end before the second has begun.
    first.kill('SIGSTOP')
    const { stderr } = await snapExpecting(11, [...args, '--resume', set], { env })
    first.kill('SIGCONT')
    expect(stderr).toContain(String(first.pid))
    expect((await first.finished).code, first.output.stderr).toBe(0)
    expect(await dumpAll(target)).toEqual(dump)
    await target.dispose()
  })
})

describeWithInfluxd('a restore into a directory that fails', () => {
  let source: Influxd
  let set: string

  beforeAll(async () => {
    source = await startInfluxd()
    await source.query('CREATE DATABASE d')
    await source.write('m v=1 1', { db: 'd' })
    set = await tempDir('set')
    await snapExpecting(0, ['backup', '--host', source.host, set])
  })
  afterAll(async () => {
    await source?.dispose()
  })

  it.each(INDEXES)('leaves a directory for %s as it was', async (indexVersion) => {
    const target = await startInfluxd({ indexVersion, dir: await tempDir('target') })
    await target.query('CREATE DATABASE other')
    await target.write('m v=1 1', { db: 'other' })
    const dump = await dumpAll(target)
    await target.stop()
    const before = await treeOf(target.root)
    const args = ['restore', ...directoryFlags(target.dirs), '--limit-rate', '100', set]
    const context = contextOf(args, { env: { XDG_STATE_HOME: await tempDir('state') } })
    const running = runIn(context)
    await madeIn(join(target.dirs.data, 'd'))
    context.signals.emit('SIGTERM')
    await running
    expect(context.exitCode()).toBe(143)
    expect(context.stderr.text).toContain('removed database "d"')
    const after = await treeOf(target.root)
    expect({ ...after, 'meta/meta.db': undefined }).toEqual({
      ...before,
      'meta/meta.db': undefined,
    })
    await target.start()
    expect(await dumpAll(target)).toEqual(dump)
    await target.dispose()
  })

  it('stays for --resume', async () => {
    const root = await tempDir('target')
    const env = { XDG_STATE_HOME: await tempDir('state') }
    const args = ['restore', '--data-dir', join(root, 'data'), '--influxd-is-stopped', '--resume']
    const context = contextOf([...args, '--limit-rate', '100', set], { env })
    const running = runIn(context)
    await madeIn(join(root, 'data/d'))
    context.signals.emit('SIGTERM')
    await running
    expect(context.stderr.text).toContain('shards not restored: 1')
    await snapExpecting(0, [...args, set], { env })
  })
})
