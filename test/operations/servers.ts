import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, vi } from 'vitest'
import { serve } from '../../src/operations/serve.ts'
import {
  type DirectorySpec,
  dataOf,
  SAMPLE,
  type SampleDirectory,
  shardFiles,
} from '../helpers/data-directory.ts'
import { serve as serveStore } from '../service/harness.ts'
import type { MemoryStore } from '../service/memory-store.ts'

/** A data directory that is served on a port of this machine. */
export interface ServedDirectory {
  /** `127.0.0.1:port` */
  readonly host: string
  /** What it said so far, as `level: message`. */
  readonly notes: readonly string[]
  /** Lets it drain and end. */
  readonly stop: () => Promise<void>
}

/** Serves a directory as `snap serve` does, in this process, until the test is over. */
export async function serveDirectory(
  { root }: SampleDirectory,
  mode: 'read-only' | 'read-write' = 'read-only',
): Promise<ServedDirectory> {
  const notes: string[] = []
  const end = new AbortController()
  const running = serve({
    source: { directory: { dataDir: join(root, 'data'), env: {} }, influxdIsStopped: true },
    ...{ mode, tempDir: tmpdir() },
    bind: { host: '127.0.0.1', port: 0 },
    ...{ limits: {}, drainMs: 1000, signal: end.signal },
    progress: (event) => {
      if (event.type === 'note') notes.push(`${event.level}: ${event.message}`)
    },
  })
  const stop = async () => {
    end.abort()
    await running
  }
  onTestFinished(stop)
  const serving = /^info: serving .* on (\S+), /
  const line = await Promise.race([
    running.then(() => ''),
    vi.waitFor(() => notes.find((note) => serving.test(note)) ?? expect.fail('not yet'), 20_000),
  ])
  return { host: serving.exec(line)?.[1] ?? '', notes, stop }
}

/** Puts the live shards of a spec into a store in memory. */
export async function fillStore<T extends MemoryStore>(
  store: T,
  spec: DirectorySpec = SAMPLE,
): Promise<T> {
  for (const [database, policies] of Object.entries(spec)) {
    for (const [policy, { shards }] of Object.entries(policies)) {
      for (const shard of shards.filter(({ isDeleted, isAbsent }) => !isDeleted && !isAbsent)) {
        const files = Object.fromEntries(await shardFiles(shard))
        store.addShard(`${database}/${policy}/${shard.id}`, files)
      }
    }
  }
  return store
}

/** A server over a store that does something of its own; returns the store too. */
export async function serveOwn<T extends MemoryStore>(
  make: (data: ReturnType<typeof dataOf>) => T,
  spec: DirectorySpec = SAMPLE,
): Promise<{ readonly host: string; readonly store: T }> {
  const store = await fillStore(make(dataOf(spec)), spec)
  const { host } = await serveStore(store)
  return { host, store }
}
