import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { RequestType } from '../../src/protocol/index.ts'
import { tempDir } from '../helpers/temp.ts'
import { contentsOfServer, contentsOfSet } from './contents.ts'
import { AFTER, type Place, plainPlaces, tarPlaces } from './places.ts'
import { DATABASE, type Run, type Scene, type ServerName } from './scene.ts'
import { snapEnding } from './snap.ts'

export type Direction = 'toServer' | 'toClient'

/** One request of a command and where in it something may happen. */
export interface Step {
  readonly name: string
  /** Its request type: all requests of that type are meant. */
  readonly type: number
  readonly places: Readonly<Record<Direction, readonly Place[]>>
  /** Places after which all may be well in spite of the break: the peer had what it needs. */
  readonly mayPass?: Readonly<Partial<Record<Direction, readonly string[]>>>
  /** An end without a byte means "closed for a moment" here, and is asked about again for a minute. */
  readonly isPatient?: boolean
}

/** A command over a line. */
export interface Command {
  readonly name: string
  readonly steps: readonly Step[]
  /** Sets the stage for one run. */
  readonly prepare: (scene: Scene, server: ServerName) => Promise<Prepared>
}

/** One run to be made. */
export interface Prepared {
  /** `host:port` of the server behind the line. */
  readonly target: string
  readonly words: (host: string) => readonly string[]
  /** Holds how it ended to the rule: the right data and 0, or the right code and nothing that looks complete. */
  readonly check: (run: Run) => Promise<void>
}

const ENDS = plainPlaces(1, 2)
/** The newline after the JSON is not needed for an answer, nor is our end. */
const REQUEST = { toServer: ['before the last byte'] }

const METASTORE: Step = {
  name: 'metastore',
  type: RequestType.MetastoreBackup,
  places: { toServer: ENDS, toClient: [...plainPlaces(4, 8, 12, 16, 20), AFTER] },
  mayPass: REQUEST,
}
const LIST: Step = {
  name: 'list of shards',
  type: RequestType.DatabaseInfo,
  places: { toServer: ENDS, toClient: [...plainPlaces(1), AFTER] },
  // JSON shows by itself that it is whole.
  mayPass: { ...REQUEST, toClient: ['before the last byte'] },
}
const shardStep = (type: number): Step => ({
  name: 'shard',
  type,
  places: { toServer: ENDS, toClient: [...tarPlaces(), AFTER] },
  mayPass: REQUEST,
})
const UPDATE: Step = {
  name: 'metadata update',
  type: RequestType.MetaStoreUpdate,
  places: { toServer: [...ENDS, AFTER], toClient: [...plainPlaces(4, 8, 16, 24), AFTER] },
}
/** Before the tar of an upload come 10 bytes. */
const UPLOAD: Step = {
  name: 'upload',
  type: RequestType.ShardUpdate,
  places: { toServer: [...tarPlaces(10), AFTER], toClient: [AFTER] },
  // influxd does without the trailer; what counts is what is read back.
  mayPass: {
    toServer: [
      'before the trailer',
      'in the trailer',
      'within the trailer',
      'before the last byte',
    ],
  },
}
const READBACK: Step = { ...shardStep(RequestType.ShardBackup), name: 'readback', isPatient: true }

const ONCE = ['--retries', '0']
const ONE_BY_ONE = ['--jobs', '1', ...ONCE]

/** Holds a run that writes a set into `dir`. */
async function checkSet(dir: string, { contents }: Scene, run: Run): Promise<void> {
  const files = await readdir(dir)
  if (run.code === 0) {
    expect(await contentsOfSet(dir, DATABASE)).toEqual(contents)
    expect(files.filter((name) => name.endsWith('.pending'))).toEqual([])
    return
  }
  expect(run.code, run.stderr).toBe(14)
  expect(run.stderr).toContain(run.host)
  expect(files).toEqual([])
}

export const BACKUP: Command = {
  name: 'backup',
  steps: [METASTORE, LIST, shardStep(RequestType.ShardBackup)],
  prepare: async (scene, server) => {
    const dir = await tempDir('backup')
    return {
      target: scene.source[server],
      words: (host) => ['backup', '--host', host, ...ONE_BY_ONE, dir],
      check: async (run) => await checkSet(dir, scene, run),
    }
  },
}

/** A set cut to a time range that holds everything: a stock server is asked for whole shards, ours for the range. */
export const EXPORT: Command = {
  name: 'export',
  steps: [shardStep(RequestType.ShardBackup), shardStep(RequestType.ShardExport)],
  prepare: async (scene, server) => {
    const dir = await tempDir('export')
    const range = ['--start', '1970-01-01T00:00:00Z']
    return {
      target: scene.source[server],
      words: (host) => ['export', '--host', host, ...ONE_BY_ONE, ...range, dir],
      check: async (run) => await checkSet(dir, scene, run),
    }
  },
}

/** The same as line protocol: one file, or none. */
export const EXPORT_LINES: Command = {
  name: 'export --format lp',
  steps: EXPORT.steps,
  prepare: async (scene, server) => {
    const dir = await tempDir('lines')
    const file = join(dir, 'd.lp')
    return {
      target: scene.source[server],
      words: (host) => ['export', '--host', host, ...ONE_BY_ONE, '--format', 'lp', file],
      check: async (run) => {
        if (run.code === 0) {
          const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
          expect(lines.sort()).toEqual(scene.lines)
          return
        }
        expect(run.code, run.stderr).toBe(14)
        expect(run.stderr).toContain(run.host)
        expect(await readdir(dir)).toEqual([])
      },
    }
  },
}

let restored = 0
const freshName = () => `r${restored++}`

/** Holds a run that makes or fills database `name`. */
async function checkRestored(target: string, expected: Expected, run: Run): Promise<void> {
  if (run.code === 0) {
    expect(await contentsOfServer({ host: target }, expected.name)).toEqual(expected.contents)
    return
  }
  expect(run.code, run.stderr).toBe(15)
  expect(run.stderr).toContain(run.host)
}

interface Expected {
  readonly name: string
  readonly contents: Scene['contents']
}

export const RESTORE: Command = {
  name: 'restore',
  steps: [METASTORE, UPDATE, UPLOAD, READBACK],
  prepare: async ({ target, contents, set }, server) => {
    const name = freshName()
    const names = ['--db', DATABASE, '--newdb', name]
    return {
      target: target[server],
      words: (host) => ['restore', '--host', host, ...ONE_BY_ONE, ...names, set],
      check: async (run) => await checkRestored(target[server], { name, contents }, run),
    }
  },
}

export const UPDATE_META: Command = {
  name: 'update-meta',
  steps: [METASTORE, UPDATE],
  prepare: async ({ target, contents, set }, server) => {
    const name = freshName()
    const empty = Object.fromEntries(Object.keys(contents).map((key) => [key, 'nothing']))
    return {
      target: target[server],
      words: (host) => ['update-meta', '--host', host, '--db', DATABASE, '--newdb', name, set],
      check: async (run) => await checkRestored(target[server], { name, contents: empty }, run),
    }
  },
}

export const UPLOAD_SHARD: Command = {
  name: 'upload-shard',
  steps: [METASTORE, UPLOAD, READBACK],
  prepare: async ({ target, contents, set }, server) => {
    const name = freshName()
    const host = target[server]
    const names = ['--db', DATABASE, '--newdb', name]
    const { stdout } = await snapEnding(0, 'update-meta', '--host', host, ...names, set)
    const [[from, to] = ['', '']] = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .sort(([a], [b]) => Number(a) - Number(b))
    const archive = (await readdir(set)).find((file) => file.endsWith(`.s${from}.tar.gz`)) ?? ''
    const expected = Object.entries(contents).map(([key, value], index) => {
      return [key, index === 0 ? value : 'nothing'] as const
    })
    return {
      target: host,
      words: (line) => {
        const where = ['--to-shard', `${to}`, '--newdb', name, join(set, archive)]
        return ['upload-shard', '--host', line, ...ONCE, ...where]
      },
      check: async (run) =>
        await checkRestored(host, { name, contents: Object.fromEntries(expected) }, run),
    }
  },
}

/** The commands that speak to a server. */
export const COMMANDS = [BACKUP, EXPORT, EXPORT_LINES, RESTORE, UPDATE_META, UPLOAD_SHARD]
