import { SnapError } from '../errors.ts'
import { parseTsmFileName } from '../tsm/file-name.ts'
import { describeShard, type ShardName } from './inspect.ts'

/** Room for what a server writes between our look at its files and the upload. */
const GENERATION_STEP = 1000
/**
 * Names with generations of ten digits sort before all others as text, so that influxd would let old values win for ever:
 * we stay far below.
 */
const MAX_GENERATION = 900_000_000

/** Tells whether a shard with these files can take further ones of ours. */
export function hasFreeGeneration(fileNames: Iterable<string>): boolean {
  return highestGeneration(fileNames) + GENERATION_STEP * 1000 <= MAX_GENERATION
}

/** Returns the highest generation of TSM and tombstone files; 0 if there are none. */
export function highestGeneration(fileNames: Iterable<string>): number {
  return [...fileNames].reduce((highest, name) => {
    const tsm = parseTsmFileName(name.replace(/\.tombstone$/, '.tsm'))
    return Math.max(highest, tsm?.generation ?? 0)
  }, 0)
}

/**
 * Returns a generation after `highest` for a file of ours.
 * @throws SnapError `E_DESTINATION` if there is none
 */
export function nextGeneration(highest: number, shard: ShardName): number {
  const generation = highest + GENERATION_STEP
  if (generation <= MAX_GENERATION) return generation
  throw new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shard)}: its files have generations up to ${highest}: no room for more`,
  )
}
