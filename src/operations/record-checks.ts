import { SnapError } from '../errors.ts'
import { encodeChecks, keptRecord, readChecks, type SetChecks } from '../portable/checks.ts'
import { checksName } from '../portable/names.ts'
import type { Store } from '../storage/index.ts'
import type { DrillResult } from './drill.ts'
import type { Progress } from './progress.ts'
import type { Verified } from './verify.ts'

interface Recording {
  readonly store: Store
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Notes beside every set that was looked at how a verification ended. Never changes its result. */
export async function recordVerify(
  { sets, complete }: Verified,
  { deep, ...recording }: Recording & { readonly deep: boolean },
): Promise<void> {
  const time = new Date().toISOString()
  for (const { set, problems, onlyHashes } of sets) {
    if (set === undefined) continue
    const hashes = onlyHashes && { onlyHashes }
    const now = { time, ok: problems === 0, deep, complete, ...hashes, problems }
    const news = ({ verified }: SetChecks) => ({ verified: keptRecord(verified, now) })
    if (!(await record(set, news, recording))) return
  }
}

/** Notes beside a set how its drill ended. Never changes its result. */
export async function recordDrill(
  { set, differences, countDifferences, recoveryMs }: DrillResult,
  { complete, ...recording }: Recording & { readonly complete: boolean },
): Promise<void> {
  if (set === undefined) return
  const count = differences.length + countDifferences.length
  const time = new Date().toISOString()
  const drilled = { time, ok: count === 0, differences: count, recoveryMs, complete }
  await record(set, () => ({ drilled }), recording)
}

/** Whoever writes last wins; a record that cannot be read is replaced. */
async function record(
  set: string,
  news: (before: SetChecks) => SetChecks,
  { store, progress, signal }: Recording,
): Promise<boolean> {
  try {
    const before = await readOrNothing(store, set, signal)
    const text = Buffer.from(encodeChecks(set, { ...before, ...news(before) })).toString()
    await store.write(checksName(set), text, signal)
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof SnapError)) throw error
    const message = `how it ended was not noted beside the set: ${error.message}`
    progress({ type: 'note', level: 'info', message })
    return false
  }
}

async function readOrNothing(store: Store, set: string, signal: AbortSignal): Promise<SetChecks> {
  try {
    return await readChecks(store, set, signal)
  } catch (error) {
    if (error instanceof SnapError) return {}
    throw error
  }
}
