/**
 * Verifies the newest set of a target if nobody has for a week. Whole jobs (backup, verify, restore, prune) are commands, with
 * locks, retries and cleaning up; a script runs them and reads their JSON, whose schemas only ever get more fields.
 *
 *     node newest-set.js /backup/influx
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { EXIT_CODES } from 'influx-snap'

/** The part of `snap list --json` that is used here; docs/schemas/list.json has all of it. */
interface List {
  readonly sets: readonly {
    readonly set: string
    readonly verified?: { readonly time: string; readonly ok: boolean }
  }[]
}

const WEEK_MS = 7 * 24 * 60 * 60 * 1000
/** The program of this package, whatever `snap` on the PATH may be. */
const PROGRAM = fileURLToPath(
  new URL('bin/snap.js', import.meta.resolve('influx-snap/package.json')),
)

/** Runs a command. An exit code other than 0 is an answer; what it means does not change. */
function snap(...args: string[]): Promise<{ readonly exitCode: number; readonly stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [PROGRAM, ...args, '--json'], (_error, stdout) =>
      resolve({ exitCode: child.exitCode ?? EXIT_CODES.E_FAILED, stdout }),
    )
    child.stderr?.pipe(process.stderr)
  })
}

const [target = '/backup/influx'] = process.argv.slice(2)
const listed = await snap('list', target)
if (listed.exitCode !== 0) process.exit(listed.exitCode)
const { sets }: List = JSON.parse(listed.stdout)
const [newest] = sets
if (newest === undefined) process.exit(EXIT_CODES.E_NO_BACKUP)

const { set, verified } = newest
if (verified?.ok === true && Date.now() - Date.parse(verified.time) < WEEK_MS) {
  console.log(`${set} was found whole at ${verified.time}`)
} else {
  const { exitCode } = await snap('verify', '--quiet', '--set', set, target)
  console.log(exitCode === 0 ? `${set} is whole` : `${set}: exit code ${exitCode}`)
  process.exitCode = exitCode
}
