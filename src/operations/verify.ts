import { EXIT_CODES, SnapError } from '../errors.ts'
import { listShards } from '../meta/index.ts'
import { parseFileName } from '../portable/names.ts'
import { readSidecar } from '../portable/sets.ts'
import type { Store } from '../storage/index.ts'
import { checkArchive, checkStoredHash } from './check-archive.ts'
import type { ShardName } from './inspect.ts'
import { mapParallel } from './parallel.ts'
import { noProgress, type Progress } from './progress.ts'
import {
  type LostShard,
  lostShards,
  openRestorable,
  type Restorable,
  type RestorableShard,
} from './restorable.ts'

/** Which sets to verify, and how. */
export interface VerifyOptions {
  readonly store: Store
  readonly set?: string | Date | undefined
  readonly jobs: number
  readonly tempDir: string
  readonly progress?: Progress | undefined
  readonly signal: AbortSignal
}

/** Something that is not as it should be. */
export interface VerifyProblem {
  readonly file: string
  readonly shard: ShardName | undefined
  readonly message: string
}

/** What was found in one backup. */
export interface VerifiedSet {
  readonly set: string | undefined
  readonly kind: Restorable['kind']
  readonly shards: number
  readonly files: number
  readonly bytes: number
  readonly problems: readonly VerifyProblem[]
  /** Shards that could not be backed up into it. */
  readonly lost: readonly LostShard[]
}

/**
 * Verifies the chosen set, or the newest: manifest, metastore and catalog against each other, the hash of every file that
 * has one, and every archive read to its end with each TSM file's index and the CRC of each block.
 * @throws SnapError `E_NO_BACKUP`, `E_INTEGRITY` if the set cannot be read at all
 */
export async function verify(options: VerifyOptions): Promise<VerifiedSet> {
  const { store, set, jobs, signal } = options
  const progress = options.progress ?? noProgress
  const backup = await openRestorable(store, { set }, signal)
  const { shards } = backup
  progress({ type: 'plan', task: 'verify', shards: shards.length })
  const problems: VerifyProblem[] = [...missingProblems(backup), ...strangers(backup)]
  problems.push(...(await sidecarProblems(backup, options)))
  const sizes = await mapParallel(shards, { jobs, signal }, (shard, stop) =>
    verifyShard(shard, { ...options, progress, signal: stop, problems }),
  )
  const files = sizes.reduce((sum, size) => sum + size.files, 0)
  const bytes = sizes.reduce((sum, size) => sum + size.bytes, 0)
  const lost = lostShards(backup, {})
  return { set: backup.set, kind: backup.kind, shards: shards.length, files, bytes, problems, lost }
}

function missingProblems({ missing }: Restorable): VerifyProblem[] {
  return missing.map(({ file, ...shard }) => ({ file, shard, message: `${file} is missing` }))
}

/** Archives of shards that the metastore does not have: no restore would find a place for them. */
function strangers({ data, shards }: Restorable): VerifyProblem[] {
  const known = new Map(
    listShards(data, { includeDeleted: true }).map((listed) => [listed.shard.id, listed]),
  )
  return shards.flatMap(({ shardId, database, retentionPolicy, parts }) => {
    const found = known.get(shardId)
    if (found?.database === database && found.retentionPolicy === retentionPolicy) return []
    const message = `the metastore has no shard ${shardId} in ${database}.${retentionPolicy}`
    const shard = { shardId, database, retentionPolicy }
    return [{ file: parts[0]?.name ?? '', shard, message }]
  })
}

async function sidecarProblems(
  { backup }: Restorable,
  { store, signal }: VerifyOptions,
): Promise<VerifyProblem[]> {
  if (!('catalog' in backup) || backup.catalog === undefined) return []
  const { catalog } = backup
  const problems: VerifyProblem[] = []
  for (const { name } of catalog.files) {
    if (parseFileName(name)?.kind !== 'sidecar') continue
    await collect(problems, { file: name, shard: undefined }, () =>
      readSidecar(store, catalog, name, signal),
    )
  }
  return problems
}

async function collect<T>(
  problems: VerifyProblem[],
  where: Omit<VerifyProblem, 'message'>,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof SnapError) || error.exitCode !== EXIT_CODES.E_INTEGRITY) throw error
    problems.push({ ...where, message: error.message })
    return undefined
  }
}

async function verifyShard(
  shard: RestorableShard,
  options: VerifyOptions & { readonly progress: Progress; readonly problems: VerifyProblem[] },
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { store, progress, problems, signal } = options
  const { shardId, database, retentionPolicy } = shard
  const name = { shardId, database, retentionPolicy }
  const started = performance.now()
  let files = 0
  let bytes = 0
  progress({ type: 'shardStart', shard: name })
  for (const part of shard.parts) {
    const where = { file: part.name, shard: name }
    const found = await collect(problems, where, async () => {
      await checkStoredHash(store, part, signal)
      return await checkArchive(shard, part, options)
    })
    for (const { size } of found ?? []) {
      files++
      bytes += size
    }
  }
  progress({ type: 'shardDone', shard: name, bytes, durationMs: performance.now() - started })
  return { files, bytes }
}
