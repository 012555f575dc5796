import { spawn } from 'node:child_process'

/** Takes a guard off again: what it guarded is left alone when this process ends. */
export type Release = () => void

/** Kills process `pid` when this process ends in whatever way. */
export function guardProcess(pid: number): Release {
  return guard('kill -KILL "$1"', String(pid))
}

/** Removes `directory` when this process ends in whatever way. */
export function guardDirectory(directory: string): Release {
  // What is being killed may still write there: a second try cleans up after it.
  return guard('rm -rf "$1" || { sleep 1; rm -rf "$1"; }', directory)
}

/**
 * Runs `action` when this process ends, a SIGKILL included: a small shell waits on a pipe that only we hold and that the
 * kernel closes for us. Where there is no shell there is no guard.
 */
function guard(action: string, argument: string): Release {
  const script = `trap '' INT TERM HUP; read -r word; [ "$word" = released ] || { ${action}; } 2>/dev/null`
  const shell = spawn('sh', ['-c', script, 'snap-guard', argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  shell.on('error', () => {})
  shell.stdin.on('error', () => {})
  shell.unref()
  // The pipe must not keep this process running either.
  if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
  return () => void shell.stdin.end('released\n')
}
