import { spawn } from 'node:child_process'

// A worker whose vitest was killed would run its test to the end, with all it has started.
process.once('disconnect', () => process.exit(1))

/** Takes a guard off again: what it guarded is left alone when this process ends. */
export type Release = () => void

/**
 * Kills process `pid` when this process ends in whatever way, a SIGKILL included: a small shell waits on a pipe that
 * only we hold and that the kernel closes for us.
 */
export function guardProcess(pid: number): Release {
  return guard('kill -KILL "$1" 2>/dev/null', String(pid))
}

/** Removes `directory` when this process ends in whatever way. */
export function guardDirectory(directory: string): Release {
  // Something that is being killed may still write there: a second try cleans up after it.
  return guard('rm -rf "$1" || { sleep 1; rm -rf "$1"; }', directory)
}

/** Kills the processes of a Ceph, whose ids are in files, and removes its directory, when this process ends in whatever way. */
export function guardCeph(directory: string): Release {
  const kill = 'for file in "$1"/ceph/run/*.pid; do kill -KILL "$(cat "$file")" 2>/dev/null; done'
  return guard(`${kill}; rm -rf "$1"`, directory)
}

function guard(action: string, argument: string): Release {
  const script = `trap '' INT TERM HUP; read -r word; [ "$word" = released ] || { ${action}; }`
  const shell = spawn('sh', ['-c', script, 'warden', argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Its own group: Ctrl-C on the terminal is meant for the tests, not for those who clean up.
    detached: true,
  })
  shell.on('error', () => undefined)
  shell.stdin.on('error', () => undefined)
  shell.unref()
  // The pipe must not keep the event loop alive either; it is a socket on every system Node runs a shell on.
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
  return () => shell.stdin.end('released\n')
}
