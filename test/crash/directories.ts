import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { decodeData } from '../../src/meta/index.ts'
import { type Contents, contentsOfServer } from '../faults/contents.ts'
import { type DirectorySpec, HOUR } from '../helpers/data-directory.ts'
import { treeOf } from '../helpers/tree.ts'

/** What is restored: two databases, a shard of several files, deleted points, a WAL, a shard without anything. */
export const RESTORED: DirectorySpec = {
  telegraf: {
    autogen: {
      shards: [
        {
          id: 1,
          hour: 0,
          files: [{ 'cpu,host=a': [1, 2, 3], mem: [1, 5] }, { 'cpu,host=a': [4] }],
          deleted: { series: 'cpu,host=a', from: 2, to: 2 },
        },
        { id: 2, hour: 1, files: [{ mem: [HOUR] }], wal: { mem: [HOUR + 1] } },
      ],
    },
  },
  other: { autogen: { shards: [{ id: 3, hour: 0, files: [{ mem: [7] }] }] } },
}

/** What is there before. */
export const PRESENT: DirectorySpec = {
  present: { autogen: { shards: [{ id: 1, hour: 0, files: [{ mem: [1, 2] }] }] } },
}

/** The three directories below `root`, as flags. */
export function flagsOf(root: string): string[] {
  const [data, wal, meta] = ['data', 'wal', 'meta'].map((name) => join(root, name))
  return ['--data-dir', data ?? '', '--wal-dir', wal ?? '', '--meta-dir', meta ?? '']
}

/** Reads all there is with our own reader: each database's contents by its name; none of what was not made yet. */
export async function readAllOf(root: string): Promise<Readonly<Record<string, Contents>>> {
  const path = join(root, 'meta/meta.db')
  if (!existsSync(path)) return {}
  const { databases } = decodeData(await readFile(path), path)
  const directory = { dataDir: join(root, 'data'), env: {} }
  const all: Record<string, Contents> = {}
  for (const { name } of databases) {
    all[name] = await contentsOfServer({ directory, mode: 'read-only' }, name)
  }
  return all
}

const LEFT = /\.pending$|\.snap\.lock|\.takeover$|snap-restore\.tmp/

/** Expects that nothing below these directories is unfinished. */
export async function expectNothingLeft(...roots: readonly string[]): Promise<void> {
  for (const root of roots) {
    expect(Object.keys(await treeOf(root)).filter((path) => LEFT.test(path))).toEqual([])
  }
}
