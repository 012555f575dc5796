import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd } from '../helpers/influxd.ts'
import { directoryFlags } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp.ts'
import { filesOf } from '../helpers/tree.ts'
import { COMMANDS, RESTORE } from './commands.ts'
import { contentsOfServer } from './contents.ts'
import { DATABASE, openScene, over, type Scene, SERVERS } from './scene.ts'
import { type Serving, serving, snapEnding } from './snap.ts'

/** A byte now and then: never silent for as long as the deadlines below, and without an end in any time. */
const DRIP: Fault = { chunk: 1, delay: 50 }

/** What a client is told to wait for the next bytes. */
const IMPATIENT = [
  ...['--first-byte-timeout', '400ms', '--idle-timeout', '200ms'],
  ...['--upload-timeout', '400ms'],
]

describeWithInfluxd('a peer that sends a byte now and then', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene?.close())

  describe.each(SERVERS)('in the place of %s', (server) => {
    // The answer to an upload has no bytes.
    const cases = COMMANDS.flatMap((command) =>
      command.steps
        .filter(({ name }) => name !== 'upload')
        .map(({ name, type }) => [command.name, name, { command, type }] as const),
    )

    it.each(cases)('is given up by %s: %s', async (_, __, { command, type }) => {
      const { target, words, check } = await command.prepare(scene, server)
      const scriptFor = (got: number) => (got === type ? { toClient: DRIP } : {})
      const run = await over({ target, scriptFor }, (host) => [...words(host), ...IMPATIENT])
      await check(run)
      if (run.faults > 0) {
        expect(run.code).not.toBe(0)
        // A busy machine may be late with the first of them.
        expect(run.stderr).toMatch(/no more than \d+ bytes in 0\.2 s|no data in 0\.[24] s/)
      }
    })
  })
})

describeWithInfluxd('snap serve, sent a byte now and then', () => {
  let scene: Scene
  let root: string
  let impatient: Serving
  beforeAll(async () => {
    scene = await openScene()
    root = await tempDir('impatient')
    const place = (kind: string) => join(root, kind)
    const directories = { data: place('data'), wal: place('wal'), meta: place('meta') }
    impatient = await serving([
      ...directoryFlags(directories),
      ...['--mode', 'read-write', '--influxd-is-stopped'],
      ...['--upload-timeout', '20s', '--idle-timeout', '1s'],
    ])
  })
  afterAll(async () => {
    await impatient?.stop()
    await scene?.close()
  })

  it.each(
    RESTORE.steps
      .filter(({ name }) => name === 'metadata update' || name === 'upload')
      .map(({ name, type }, i) => [name, type, `slow${i}`] as const),
  )('gives up the %s, and holds nothing of it', async (_, type, name) => {
    const before = await filesOf(root)
    const words = ['--db', DATABASE, '--newdb', name, '--jobs', '1', '--retries', '0', scene.set]
    const scriptFor = (got: number) => (got === type ? { toServer: DRIP } : {})
    const run = await over({ target: impatient.host, scriptFor }, (host) => [
      ...['restore', '--host', host],
      ...words,
    ])
    expect(run.code, run.stderr).toBe(15)
    expect(run.faults).toBe(1)
    const after = await filesOf(root)
    expect(after.filter((path) => !before.includes(path) && !path.startsWith('meta/'))).toEqual([])
    expect(await readdir(join(root, 'meta'))).not.toContainEqual(expect.stringMatching(/tmp/))
  })

  it('then takes what comes as it should', async () => {
    await snapEnding(
      0,
      ...['restore', '--host', impatient.host, '--db', DATABASE, '--newdb', 'then', scene.set],
    )
    const held = await contentsOfServer({ host: impatient.host }, 'then')
    expect(held).toEqual(scene.contents)
  })
})
