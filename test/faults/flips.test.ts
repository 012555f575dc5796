import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RequestType } from '../../src/protocol/index.ts'
import { describeWithInfluxd } from '../helpers/influxd.ts'
import {
  BACKUP,
  type Command,
  type Direction,
  EXPORT,
  RESTORE,
  UPDATE_META,
  UPLOAD_SHARD,
} from './commands.ts'
import { type TarPlace, tarEntries } from './places.ts'
import {
  openScene,
  over,
  type Recording,
  type Run,
  record,
  type Scene,
  SERVERS,
  type ServerName,
} from './scene.ts'
import { snapEnding } from './snap.ts'

const IS_SLOW = process.env.SLOW === '1'

/** Bytes of one answer or request of which one bit is turned over, one after the other. */
interface Flips {
  readonly name: string
  readonly command: Command
  readonly type: number
  readonly direction: Direction
  /** The range of offsets; all of them if left out. */
  readonly range?: (bytes: Buffer) => readonly [from: number, to: number]
  /** Twice as many as are met in a quick run. */
  readonly samples: number
  readonly flags?: readonly string[]
  readonly servers?: readonly ServerName[]
}

/** The first TSM file of a tar, and where its index begins. */
function firstFile(tar: Buffer): TarPlace & { readonly index: number } {
  const file = tarEntries(tar).find(({ name }) => name.endsWith('.tsm'))
  if (file === undefined) throw new Error('no TSM file in this tar')
  return { ...file, index: file.body + Number(tar.readBigUInt64BE(file.body + file.size - 8)) }
}

/** The offsets of a key in the index; its length stands before it. */
function keyRange(tar: Buffer): readonly [number, number] {
  const { index } = firstFile(tar)
  return [index + 2, index + 2 + tar.readUInt16BE(index)]
}

const shardFlips = (command: Command, type: number): Flips[] => {
  const common = { command, type, direction: 'toClient' } as const
  return [
    { ...common, name: 'a tar header', range: () => [0, 512], samples: 10 },
    {
      ...common,
      name: 'the blocks of a file',
      range: (tar) => [firstFile(tar).body, firstFile(tar).index],
      samples: 10,
    },
    {
      ...common,
      name: 'an index, behind the keys',
      range: (tar) => {
        const { index } = firstFile(tar)
        const [, end] = keyRange(tar)
        return [end, Math.max(end, index + 2 + tar.readUInt16BE(index) + 31)]
      },
      samples: 10,
    },
    {
      ...common,
      name: "a file's end and padding",
      range: (tar) => {
        const { body, size } = firstFile(tar)
        return [body + size - 8, body + Math.ceil(size / 512) * 512]
      },
      samples: 6,
    },
    { ...common, name: 'the trailer', range: ({ length }) => [length - 1024, length], samples: 4 },
  ]
}

const FLIPS: Flips[] = [
  ...[RequestType.MetastoreBackup, RequestType.DatabaseInfo].flatMap((type) =>
    (['toServer', 'toClient'] as const).map((direction) => ({
      name: `${direction} of request type ${type}`,
      ...{ command: BACKUP, type, direction, samples: 16 },
    })),
  ),
  ...shardFlips(BACKUP, RequestType.ShardBackup),
  {
    name: 'the request for a shard',
    ...{ command: BACKUP, type: RequestType.ShardBackup, direction: 'toServer', samples: 24 },
  },
  {
    name: 'a key in an index, with --twice',
    ...{ command: BACKUP, type: RequestType.ShardBackup, direction: 'toClient' },
    ...{ range: keyRange, samples: 8, flags: ['--twice'], servers: ['influxd'] },
  },
  {
    name: 'a key in an index',
    ...{ command: BACKUP, type: RequestType.ShardBackup, direction: 'toClient' },
    ...{ range: keyRange, samples: 8, servers: ['snap serve'] },
  },
  {
    name: 'the request for a range',
    ...{ command: EXPORT, type: RequestType.ShardExport, direction: 'toServer', samples: 24 },
    servers: ['snap serve'],
  },
  ...[RESTORE, UPDATE_META].flatMap((command) =>
    (['toServer', 'toClient'] as const).map((direction) => ({
      name: `${direction} of a metadata update`,
      ...{ command, type: RequestType.MetaStoreUpdate, direction, samples: 16 },
    })),
  ),
  {
    name: 'the metastore of the target',
    ...{ command: RESTORE, type: RequestType.MetastoreBackup, direction: 'toClient', samples: 12 },
  },
  ...[RESTORE, UPLOAD_SHARD].flatMap((command) => [
    {
      name: 'an upload',
      ...{ command, type: RequestType.ShardUpdate, direction: 'toServer' as const, samples: 16 },
    },
    {
      name: 'what is read back',
      ...{ command, type: RequestType.ShardBackup, direction: 'toClient' as const, samples: 10 },
    },
  ]),
]

function offsetsOf({ range, samples }: Flips, bytes: Buffer): number[] {
  const [from, to] = range?.(bytes) ?? [0, bytes.length]
  const step = IS_SLOW ? 1 : Math.max(1, Math.floor((2 * (to - from)) / samples))
  return Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step)
}

describeWithInfluxd('one bit that turns over on the way', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await openScene()
  })
  afterAll(() => scene?.close())

  /** Runs a command with bit `bit` of the byte at `at` of one of its requests of a type turned over. */
  async function flipped(
    { command, type, direction, flags = [] }: Flips,
    server: ServerName,
    { at, which }: { readonly at: number; readonly which: number },
  ): Promise<{ readonly run: Run; readonly check: (run: Run) => Promise<void> }> {
    const { target, words, check } = await command.prepare(scene, server)
    const script = { [direction]: { flip: { at, bit: (at * 5) % 8 } } }
    const scriptFor = (got: number, before: number) =>
      got === type && before === which ? script : {}
    // A request whose end cannot be seen any more is waited for by the server.
    const impatience = direction === 'toServer' ? ['--first-byte-timeout', '700ms'] : []
    const run = await over({ target, scriptFor }, (host) => {
      const [name = '', ...rest] = words(host)
      return [name, ...impatience, ...flags, ...rest]
    })
    return { run, check }
  }

  async function recordingOf({ command, flags = [] }: Flips, server: ServerName) {
    const { target, words } = await command.prepare(scene, server)
    return await record(target, (host) => {
      const [name = '', ...rest] = words(host)
      return snapEnding(0, name, ...flags, ...rest)
    })
  }

  const longestOf = (recording: Recording, { type, direction }: Flips) => {
    const all = (recording.get(type) ?? []).map((each) => Buffer.from(each[direction]))
    const which = all.reduce((best, each, i) => {
      return each.length > (all[best]?.length ?? 0) ? i : best
    }, 0)
    return { which, bytes: all[which] ?? Buffer.alloc(0), count: all.length }
  }

  /** Answers without a check sum are asked for more than once, and each of them is hit. */
  const isRepeated = ({ type, range }: Flips) =>
    range === undefined &&
    (type === RequestType.MetastoreBackup || type === RequestType.DatabaseInfo)

  describe.each(SERVERS)('with %s', (server) => {
    const cases = FLIPS.filter(({ servers = SERVERS }) => servers.includes(server))
    it.each(cases.map((flips) => [`${flips.command.name}: ${flips.name}`, flips] as const))(
      '%s',
      async (_, flips) => {
        const { which, bytes, count } = longestOf(await recordingOf(flips, server), flips)
        const offsets = offsetsOf(flips, bytes)
        expect(offsets.length).toBeGreaterThan(1)
        for (const [i, at] of offsets.entries()) {
          const hit = isRepeated(flips) ? i % count : which
          const { run, check } = await flipped(flips, server, { at, which: hit })
          if (run.code === 3) {
            // What the file itself says of its times: stored as it came, and said to be damaged.
            expect(run.stderr, `byte ${at}`).toContain('the source itself has lost data')
            continue
          }
          await check(run).catch((error) => {
            throw new Error(`byte ${at} of ${bytes.length}, request ${hit}\n${run.stderr}`, {
              cause: error,
            })
          })
        }
      },
      IS_SLOW ? 3_600_000 : 30_000,
    )
  })

  it('in a key of a file is what influxd gives no means to see without --twice', async () => {
    const flips: Flips = {
      ...{ name: '', command: BACKUP, type: RequestType.ShardBackup, direction: 'toClient' },
      ...{ range: keyRange, samples: 8 },
    }
    const { which, bytes } = longestOf(await recordingOf(flips, 'influxd'), flips)
    let unseen = 0
    for (const at of offsetsOf(flips, bytes)) {
      const { run, check } = await flipped(flips, 'influxd', { at, which })
      if (run.code === 0)
        unseen += await check(run).then(
          () => 0,
          () => 1,
        )
    }
    expect(unseen).toBeGreaterThan(0)
  })
})
