import { manifestName, parseFileName } from '../portable/names.ts'
import { readSet } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { orRefuse, type Survey, type SurveyedSet } from './prune-survey.ts'
import { findChain } from './stock-chain.ts'

/**
 * Adds what sets of influxd need that were made with `-since`, or `-start` and `-end`: the older ones that they are put together
 * with. Each archive is read, and points where files differ.
 * @throws SnapError `E_PRUNE_REFUSED` if an archive is damaged
 */
export async function followChains(
  store: Store,
  survey: Survey,
  { tempDir, signal }: { readonly tempDir: string; readonly signal: AbortSignal },
): Promise<Survey> {
  const memory = { files: new Map(), whole: new Set<string>() }
  const sets: SurveyedSet[] = []
  for (const set of survey.sets.toReversed()) {
    const needs = new Set(set.needs)
    if (set.kind === 'stock') {
      const read = async () => {
        const backup = await readSet(survey.listing, set, signal)
        return await findChain(store, backup, { isWanted: () => true, memory, tempDir, signal })
      }
      const chain = await orRefuse(read, { set: set.name, giveUp: manifestName(set.name) })
      for (const { name } of [...chain.values()].flat()) needs.add(parseFileName(name)?.set ?? '')
      needs.delete(set.name)
      needs.delete('')
    }
    sets.push({ ...set, needs: [...needs] })
  }
  return { ...survey, sets: sets.reverse() }
}
