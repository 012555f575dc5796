import { SnapError } from '../errors.ts'
import type { Permit } from './meta-file.ts'
import { findOccupants, type Occupancy } from './occupancy.ts'

/** A look at all processes serves the changes of this long, in ms: a metadata update may make thousands of shards. */
const FRESH_MS = 1000

/** Uses listed in a message. */
const LISTED = 3

function describe({ inUse }: Occupancy): string {
  const uses = inUse.map(({ pid, command, path }) => `${command} (process ${pid}, ${path})`)
  return [...uses.slice(0, LISTED), ...(uses.length > LISTED ? ['...'] : [])].join(', ')
}

/**
 * Throws unless nobody else uses the directories.
 * @param influxdIsStopped the operator's word, which stands in for what cannot be seen, never against what is seen
 * @throws SnapError `E_DESTINATION`
 */
async function checkUnused(
  directories: readonly string[],
  influxdIsStopped: boolean,
): Promise<void> {
  const occupancy = await findOccupants(directories)
  if (occupancy.inUse.length > 0) {
    throw new SnapError('E_DESTINATION', `the data directory is in use by ${describe(occupancy)}`, {
      hint: 'stop influxd (and whatever else works there), or restore to it over the network',
    })
  }
  if (occupancy.unseen.length === 0 || influxdIsStopped) return
  const reasons = occupancy.unseen.join('; ')
  throw new SnapError('E_DESTINATION', `cannot tell whether influxd runs: ${reasons}`, {
    hint: 'run snap as root on the machine itself, or say --influxd-is-stopped if you are sure',
  })
}

/** Refuses every change of a directory that was opened for reading. */
export async function refuseChanges(): Promise<void> {
  throw new SnapError('E_DESTINATION', 'the data directory is open for reading only', {
    hint: 'open it with --mode read-write, with influxd stopped',
  })
}

/** Returns a {@link Permit} that looks at the processes again, unless it did so less than a second ago. */
export function permitWhileUnused(
  directories: readonly string[],
  influxdIsStopped: boolean,
): Permit {
  let checked = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined
  const look = async () => {
    await checkUnused(directories, influxdIsStopped)
    checked = performance.now()
  }
  return async () => {
    if (performance.now() - checked < FRESH_MS) return
    // Several shards at a time ask for the same.
    looking ??= look().finally(() => {
      looking = undefined
    })
    await looking
  }
}
