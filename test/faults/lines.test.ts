import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import type { Fault, ScriptFor } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd } from '../helpers/influxd.ts'
import { filesOf } from '../helpers/tree.ts'
import { type Break, breaksOf } from './breaks.ts'
import { COMMANDS } from './commands.ts'
import { contentsOfServer } from './contents.ts'
import { AFTER } from './places.ts'
import { openScene, over, type Recording, record, type Scene, SERVERS } from './scene.ts'
import { snapEnding } from './snap.ts'

const IS_SLOW = process.env.SLOW === '1'

/** Long for a machine in itself, short for a test. */
const DEADLINES = ['--first-byte-timeout', '--idle-timeout', '--upload-timeout'].flatMap((flag) => [
  flag,
  '250ms',
])

function scriptFor({ step, direction, place, how }: Break, recording: Recording): ScriptFor {
  const requests = recording.get(step.type) ?? []
  // The places are those of a shard that holds something.
  const [longest] = requests.toSorted((a, b) => b.toClient.length - a.toClient.length)
  if (longest === undefined) return () => ({})
  const after = place.at(longest[direction])
  const fault: Fault = how === 'stall' ? { stall: { after } } : { cut: { after, how } }
  return (type) => (type === step.type ? { [direction]: fault } : {})
}

describeWithInfluxd('over a line that breaks', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene?.close())

  describe.each(COMMANDS)('$name', (command) => {
    describe.each(SERVERS)('with %s', (server) => {
      let recording: Recording = new Map()
      beforeAll(async () => {
        const { target, words } = await command.prepare(scene, server)
        recording = await record(target, (host) => snapEnding(0, ...words(host)))
      })

      it.each(breaksOf(command, IS_SLOW))('%s', async (_, broken) => {
        const { target, words, check } = await command.prepare(scene, server)
        const { step, direction, place, how } = broken
        const flags = how === 'stall' ? DEADLINES : []
        const run = await over({ target, scriptFor: scriptFor(broken, recording) }, (host) => {
          const [name = '', ...rest] = words(host)
          return [name, ...flags, ...rest]
        })
        const isAsked = recording.has(step.type)
        // A busy machine may miss so short a deadline earlier.
        if (how !== 'stall') expect(run.faults > 0).toBe(isAsked)
        const mayPass = place === AFTER || step.mayPass?.[direction]?.includes(place.name)
        if (isAsked && !mayPass) expect(run.code, run.stderr).not.toBe(0)
        await check(run)
      })
    })
  })

  describe.each(SERVERS)('after all of it, %s', (server) => {
    it('gives and takes as before', async () => {
      for (const { prepare } of COMMANDS) {
        const { target, words, check } = await prepare(scene, server)
        const run = await over({ target, scriptFor: () => ({}) }, words)
        expect(run.code, run.stderr).toBe(0)
        await check(run)
      }
    })
  })

  it('snap serve holds every shard whole or not at all, and nothing half done', async () => {
    const host = scene.target['snap serve']
    const whole = scene.contents
    for (const { name } of await databasesOf(host)) {
      for (const [shard, held] of Object.entries(await contentsOfServer({ host }, name))) {
        expect([whole[shard], 'nothing'], `${name} ${shard}`).toContain(held)
      }
    }
    const files = await filesOf(scene.targetRoot)
    expect(files.filter((path) => !/\.tsm$|^meta\/meta\.db$|\.snap\.lock$/.test(path))).toEqual([])
  })
})

async function databasesOf(host: string) {
  return (await new Client(host).metastoreBackup()).databases
}
