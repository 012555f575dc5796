import { createHash } from 'node:crypto'
import type { Recipients } from '../age/index.ts'
import { SnapError } from '../errors.ts'
import { streamOf } from '../io/once.ts'
import { PENDING_SUFFIX } from '../io/pending.ts'
import { type CatalogFile, catalogPieces } from '../portable/catalog.ts'
import { clearCatalog } from '../portable/clear-catalog.ts'
import {
  catalogName,
  manifestName,
  openedName,
  parseFileName,
  sealedName,
} from '../portable/names.ts'
import { readOwnCatalog } from '../portable/set-files.ts'
import type { Staged } from '../storage/index.ts'
import type { SetPlan } from './copy-plan.ts'
import { type CopyContext, endReservation, readChecked, reserveSets } from './copy-set.ts'
import { mapParallel } from './parallel.ts'
import { publishAll } from './publish-all.ts'
import { retainAll } from './retain-all.ts'
import { stageFile } from './stage-file.ts'

/**
 * Copies a set and encrypts it on the way, every byte read against its catalog. Nothing has its name before all of it is
 * there: what is left of an encrypted file could not be compared, a copy that was cut short begins the set anew.
 * @throws SnapError as `copySet`, `E_KEY`
 */
export async function sealSet(
  context: CopyContext,
  plan: SetPlan,
  recipients: Recipients,
): Promise<void> {
  const { target, copied, signal } = context
  const { own, others } = await reserveSets(context, plan)
  const staged: Staged[] = []
  try {
    const stored = await stageFiles(context, { plan, recipients, staged })
    const clear = await clearCatalogOf(context, { plan, recipients, stored })
    staged.push(await target.stage(catalogName(plan.set), streamOf(clear), signal))
    await removeRemains(context, staged)
    await retainAll(target, plan.shared, signal)
    const isLast = ({ name }: Staged) => openedName(name) === manifestName(plan.set)
    await publishAll(
      target,
      staged.toSorted((a, b) => Number(isLast(a)) - Number(isLast(b))),
      async () => {
        // Before there is a set that needs their files: what is reserved may be taken away.
        for (const set of others) await target.delete(set + PENDING_SUFFIX, signal)
      },
    )
    for (const file of stored) context.sealed.set(file.name, file)
    await endReservation(context, own)
    copied.add(plan.set)
  } catch (error) {
    await Promise.allSettled(staged.map((file) => file.discard()))
    await Promise.allSettled([own, ...others].map((set) => target.delete(set + PENDING_SUFFIX)))
    await target.abandon()
    throw error
  }
}

interface Sealing {
  readonly plan: SetPlan
  readonly recipients: Recipients
}

/** Stages the files of a set that the target lacks, and returns what is stored of them. */
async function stageFiles(
  context: CopyContext,
  { plan, recipients, staged }: Sealing & { readonly staged: Staged[] },
): Promise<CatalogFile[]> {
  const { target, jobs, signal, progress } = context
  return await mapParallel(plan.files, { jobs, signal }, async (file, stop) => {
    const started = performance.now()
    const { name, shard, size } = file
    if (shard !== undefined) progress({ type: 'shardStart', shard })
    const hash = createHash('sha256')
    const body = readChecked(context, { file, hash }, stop)
    const sha256 = () => hash.digest('hex')
    const done = await stageFile(target, { name, body, sha256, recipients }, stop)
    staged.push(done.staged)
    const durationMs = performance.now() - started
    if (shard !== undefined) progress({ type: 'shardDone', shard, bytes: size, durationMs })
    return done.file
  })
}

/** Encodes the clear catalog of a set by its own, which is encrypted as the rest of it. */
async function clearCatalogOf(
  { source, sealed, signal }: CopyContext,
  { plan, recipients, stored }: Sealing & { readonly stored: readonly CatalogFile[] },
): Promise<Iterable<Uint8Array>> {
  const set = plan.set
  const catalog = await readOwnCatalog(source, { set, name: catalogName(set) }, signal)
  const own = new Map(stored.map((file) => [file.name, file]))
  const files = [...catalog.files.map(({ name }) => name), catalogName(set)].map(sealedName)
  const all = files.toSorted().flatMap((name) => own.get(name) ?? sealed.get(name) ?? [])
  return catalogPieces(clearCatalog(catalog, all, recipients.names))
}

/**
 * Removes what a copy that died while it gave its files their names has left of those that are to have them now.
 * @throws SnapError `E_LOCKED` if another run has made a set of it meanwhile
 */
async function removeRemains(
  { target, listing, signal }: CopyContext,
  staged: readonly Staged[],
): Promise<void> {
  const remains = staged.flatMap(({ name }) => (listing.files.has(name) ? [name] : []))
  for (const set of new Set(remains.map((name) => parseFileName(name)?.set ?? ''))) {
    if ((await target.stat(sealedName(manifestName(set)), signal)) === undefined) continue
    throw new SnapError('E_LOCKED', `${target.url}: another run has made set ${set} meanwhile`, {
      hint: 'run it again',
    })
  }
  for (const name of remains) await target.delete(name, signal)
}
