import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RequestType } from '../../src/protocol/index.ts'
import type { Script, ScriptFor } from '../helpers/fault-proxy.ts'
import { describeWithInfluxd } from '../helpers/influxd.ts'
import { BACKUP, COMMANDS, type Command, EXPORT, EXPORT_LINES, RESTORE } from './commands.ts'
import { openScene, over, type Run, type Scene, SERVERS, type ServerName } from './scene.ts'

const { ShardBackup, ShardExport, ShardUpdate } = RequestType

describeWithInfluxd('over a line that', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene?.close())

  /** Runs a command to its end, which is held to the rule. */
  async function run(
    command: Command,
    [server, scriptFor]: readonly [ServerName, ScriptFor],
    flags: readonly string[] = [],
  ): Promise<Run> {
    const { target, words, check } = await command.prepare(scene, server)
    const ended = await over({ target, scriptFor }, (host) => [...words(host), ...flags])
    await check(ended)
    return ended
  }

  describe.each(SERVERS)('to %s', (server) => {
    describe('brings one byte at a time', () => {
      const one = { chunk: 1 }

      // influxd before 1.8.9 takes some things from whatever one read gives, and any influxd resets the connection if our
      // last newline comes after it has answered: what is asked of it has to end as it should, not well.
      const isPatient = server !== 'influxd'

      it.each(COMMANDS)('$name', async (command) => {
        const toServer = isPatient ? one : {}
        const ended = await run(command, [server, () => ({ toServer, toClient: one })])
        expect(ended.code, ended.stderr).toBe(0)
      })

      if (isPatient) return
      it.each(COMMANDS)('$name, to the server too', async (command) => {
        await run(command, [server, () => ({ toServer: one, toClient: one })])
      })
    })

    describe('makes connections twice', () => {
      const cases = COMMANDS.flatMap((command) =>
        command.steps.map(({ name, type }) => [command.name, name, { command, type }] as const),
      )
      it.each(cases)('%s: %s', async (_, __, { command, type }) => {
        await run(command, [server, (got) => (got === type ? { twice: true } : {})])
      })
    })

    describe('brings connections in another order', () => {
      const TWO = ['--jobs', '2']
      const firstTwo =
        (type: number, script: Script): ScriptFor =>
        (got, before) =>
          got === type && before < 2 ? script : {}

      // The first shard waits for the second one, whatever else there was.
      const late = (type: number): ScriptFor => {
        let others = 0
        return (got, before) => {
          if (got === type && before === 0) return { afterOthers: others + 1 }
          others += 1
          return {}
        }
      }

      it.each([
        ['backup', BACKUP, ShardBackup],
        ['export --format lp', EXPORT_LINES, ShardBackup],
        ['restore, uploads', RESTORE, ShardUpdate],
      ] as const)('%s', async (_, command, type) => {
        const flags = command === EXPORT_LINES ? [] : TWO
        const order = command === EXPORT_LINES ? () => ({}) : late(type)
        const ended = await run(command, [server, order], flags)
        expect(ended.code, ended.stderr).toBe(0)
      })

      it.each([
        ['backup', BACKUP, 14],
        ['export', EXPORT, 14],
        // What differs is read once more, and then from the right shard.
        ['restore, what is read back', RESTORE, 0],
      ] as const)(
        'and answers one request by the answer to another: %s',
        async (...[, command, code]) => {
          const type = command === EXPORT && server === 'snap serve' ? ShardExport : ShardBackup
          const ended = await run(command, [server, firstTwo(type, { swap: true })], TWO)
          expect(ended.code, ended.stderr).toBe(code)
        },
      )
    })

    describe('fails for the first connections', () => {
      const first =
        (count: number, type: number, script: Script): ScriptFor =>
        (got, before) =>
          got === type && before < count ? script : {}
      const RESET: Script = { toClient: { cut: { after: 1100, how: 'rst' } } }
      const END: Script = { toClient: { cut: { after: 1100, how: 'fin' } } }
      const STOPPED: Script = { toServer: { cut: { after: 900, how: 'rst' } } }
      const REFUSED: Script = { refuse: true }

      it.each([
        [1, 'RST', 'backup', BACKUP, ShardBackup, RESET, 0],
        [1, 'FIN', 'backup', BACKUP, ShardBackup, END, 0],
        [1, 'RST at once', 'backup', BACKUP, ShardBackup, REFUSED, 0],
        [2, 'RST', 'backup', BACKUP, ShardBackup, RESET, 14],
        [1, 'FIN', 'export --format lp', EXPORT_LINES, ShardBackup, END, 0],
        [1, 'RST', 'restore', RESTORE, ShardUpdate, STOPPED, 0],
        [2, 'RST', 'restore', RESTORE, ShardUpdate, STOPPED, 15],
        [1, 'RST', 'restore', RESTORE, ShardBackup, RESET, 0],
      ] as const)(
        '%i: %s, with one retry: %s',
        async (...[count, , , command, type, script, code]) => {
          const ended = await run(command, [server, first(count, type, script)], ['--retries', '1'])
          expect(ended.code, ended.stderr).toBe(code)
        },
      )
    })
  })
})
