import { serving } from '../faults/snap.ts'
import type { Running } from '../helpers/run.ts'
import { startCounted } from './crash.ts'
import { flagsOf } from './directories.ts'

/** What lets a directory be served and restored to. */
export const WRITABLE = ['--mode', 'read-write', '--influxd-is-stopped']

/** A `snap serve` over the directories below a root, whose calls are counted. */
export interface CountedServer {
  /** Undefined if it ended before it listened. */
  readonly host: string | undefined
  readonly running: Running
}

/** Starts a server as a program of its own and waits until it listens. */
export async function startServer(
  root: string,
  seam: Parameters<typeof startCounted>[1],
): Promise<CountedServer> {
  const words = ['serve', '--bind', '127.0.0.1:0', ...flagsOf(root), ...WRITABLE]
  const running = startCounted(words, seam)
  const [, host] = await running.until(/ on (127\.0\.0\.1:\d+),/).catch(() => [])
  return { host, running }
}

/** Does something with a server in this process, which is stopped then; at the address of another, if given. */
export async function withServer(
  root: string,
  work: (host: string) => Promise<void>,
  address?: string,
): Promise<void> {
  const bind = address === undefined ? [] : ['--bind', address]
  const { host, stop } = await serving([...flagsOf(root), ...WRITABLE, ...bind])
  try {
    await work(host)
  } finally {
    await stop()
  }
}
