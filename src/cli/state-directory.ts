import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** Returns where snap keeps what must outlive a run: the user's state directory by the XDG rules. */
export function stateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const named = env['XDG_STATE_HOME'] ?? ''
  const home = env['HOME'] || homedir()
  return join(isAbsolute(named) ? named : join(home, '.local/state'), 'influx-snap')
}
