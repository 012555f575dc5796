import { createHash } from 'node:crypto'
import type { ShardEvidence } from '../portable/catalog.ts'
import type { InspectedFile } from './inspect.ts'
import type { ShardState } from './shard-source.ts'
import { type FileTotals, totalsOf } from './shard-stats.ts'

/** A file of a shard as far as its content counts. */
export type HashedFile = Pick<InspectedFile, 'name' | 'size' | 'mtime' | 'kind' | 'gmac'>

/** What a whole archive holds, as far as it is compared with what a server has. */
export type ContentEvidence = FileTotals & Pick<ShardEvidence, 'content'>

/** Returns what is compared of the files of a shard; neither their order nor their times count. */
export function contentEvidence(files: readonly HashedFile[]): ContentEvidence {
  const hash = createHash('sha256')
  for (const { name, size, gmac } of files.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${name}\0${size}\0${gmac}\n`)
  }
  return { content: hash.digest('hex'), ...totalsOf(files) }
}

/** What is known of the moment at which a shard was read. */
export interface ReadMoment {
  /** The server's clock before anything was read, nanoseconds since the epoch; undefined if nobody could be asked. */
  readonly clock: bigint | undefined
  /** The state of the files that were read, if their source knows. */
  readonly state: ShardState | undefined
}

const SECOND = 1_000_000_000n
/** A file that is being written when the clock is asked has a time a little later or earlier. */
const CLOCK_MARGIN = 2n * SECOND
/** How far the clocks of server and client may be apart, in ms. */
const CLOCK_SLACK_MS = 60_000

/** Returns what an archive with these files is proof of. */
export function evidenceOf(files: readonly HashedFile[], moment: ReadMoment): ShardEvidence {
  const { clock, state } = moment
  const since = clock === undefined ? afterNewest(files, state) : clock - CLOCK_MARGIN
  return { ...contentEvidence(files), ...(since !== undefined && { since }), ...state }
}

/**
 * Returns a time after all the files of a shard of influxd, by their own times, which a tar rounds to seconds. A file that is
 * young could have a sibling of the same second that came too late.
 */
function afterNewest(
  files: readonly HashedFile[],
  state: ShardState | undefined,
): bigint | undefined {
  const newest = Math.max(...files.map(({ mtime }) => mtime.getTime()))
  const isOld = Date.now() - newest > CLOCK_SLACK_MS
  return isOld && files.length > 0 && state === undefined
    ? BigInt(newest) * 1_000_000n + SECOND
    : undefined
}
