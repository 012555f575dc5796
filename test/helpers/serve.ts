import { type ProgramOptions, startSnap } from './cli.ts'
import type { Directories } from './influxd.ts'
import type { Finished, Running } from './run.ts'

/** A running `snap serve`. */
export interface Served {
  /** `127.0.0.1:port` of the snapshotter service. */
  readonly host: string
  readonly running: Running
  /** SIGTERM, and how it ended. */
  readonly stop: () => Promise<Finished>
}

/** The flags that name three directories. */
export function directoryFlags({ data, wal, meta }: Directories): string[] {
  return ['--data-dir', data, '--wal-dir', wal, '--meta-dir', meta]
}

/** Starts `snap serve` with `args` on a port of its own and waits until it listens. */
export async function startServe(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Served> {
  const running = startSnap(['serve', '--bind', '127.0.0.1:0', ...args], options)
  // Not a connection made to find out: it would be logged as a peer that left.
  const [, host = ''] = await running.until(/^serving .* on (127\.0\.0\.1:\d+)/m)
  const stop = async () => {
    running.kill('SIGTERM')
    return await running.finished
  }
  return { host, running, stop }
}
