import { EXIT_CODES, SnapError } from '../errors.ts'
import type { SetListing } from '../portable/listing.ts'
import { newSurvey, surveySet } from './prune-survey.ts'

/**
 * Says of every set of a place that can be read which older ones it cannot be restored without; they may need others.
 * Each set is read once.
 */
export async function needsOf(
  listing: SetListing,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const followed = newSurvey(listing)
  const needs = new Map<string, readonly string[]>()
  for (const set of listing.sets.toReversed()) {
    try {
      needs.set(set.name, (await surveySet(followed, set, signal)).needs)
    } catch (error) {
      if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    }
  }
  return needs
}
