import { watchHeap } from './heap.ts'
import { runCli } from './program.ts'

/** How long a process that has done its work may linger over a forgotten handle, milliseconds. */
const LINGER = 2_000

/** Runs the command line of this process. */
export async function main(): Promise<void> {
  watchHeap()
  await runCli({
    argv: process.argv.slice(2),
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    signals: process,
    setExitCode: (exitCode) => {
      process.exitCode = exitCode
    },
    exitNow: (exitCode) => process.exit(exitCode),
  })
  // Fires only if something still holds the process: a socket kept alive, a worker.
  setTimeout(() => process.exit(), LINGER).unref()
}
