import { setTimeout as sleep } from 'node:timers/promises'
import { type ProgramOptions, startSnap } from './cli.ts'
import type { Directories } from './influxd.ts'
import { freePort } from './ports.ts'
import type { Finished, Running } from './run.ts'

/** A running `snap serve`. */
export interface Served {
  /** `127.0.0.1:port` of the snapshotter service. */
  readonly host: string
  readonly running: Running
  /** SIGTERM, and how it ended. */
  readonly stop: () => Promise<Finished>
}

const START_MS = 20_000

/** The flags that name three directories. */
export function directoryFlags({ data, wal, meta }: Directories): string[] {
  return ['--data-dir', data, '--wal-dir', wal, '--meta-dir', meta]
}

/** Starts `snap serve` with `args` on a free port and waits until it listens. */
export async function startServe(
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Served> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort()
    const host = `127.0.0.1:${port}`
    const running = startSnap(['serve', '--bind', host, ...args], options)
    if (await accepts(running)) {
      const stop = async () => {
        running.kill('SIGTERM')
        return await running.finished
      }
      return { host, running, stop }
    }
    const { stderr } = running.output
    // Somebody else took the port since we looked.
    if (attempt === 5 || !/in use|EADDRINUSE/.test(stderr)) {
      running.kill('SIGKILL')
      throw new Error(`snap serve ${args.join(' ')} did not start; it said:\n${stderr}`)
    }
  }
}

/** Waits for the line that says that it listens: a connection made to find out would be logged as a peer that left. */
async function accepts({ child, output }: Running): Promise<boolean> {
  const deadline = Date.now() + START_MS
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    if (/^serving .* on /m.test(output.stderr)) return true
    await sleep(20)
  }
  return false
}
