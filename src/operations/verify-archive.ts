import { readListedSidecar } from '../portable/sets.ts'
import type { Sidecar, SidecarData, SidecarTotals } from '../portable/sidecar.ts'
import type { Store } from '../storage/index.ts'
import { asDamage, checkArchive, checkStoredHash } from './check-archive.ts'
import { describeData } from './describe-archive.ts'
import { describeShard, type InspectedFile, type ShardName } from './inspect.ts'
import { filesIn } from './open-archive.ts'
import type { ArchivePart } from './restorable.ts'
import { ShardSums } from './shard-sums.ts'
import type { ArchiveTask } from './verify-context.ts'
import type { Findings } from './verify-findings.ts'

/** How archives are verified. */
export interface VerifyArchiveOptions {
  readonly store: Store
  /** Decode every block, and compare the points with what the sidecar says of them. */
  readonly deep: boolean
  readonly tempDir: string
  readonly findings: Findings
  readonly signal: AbortSignal
  /** Told how many bytes of the archive were read so far, of those of {@link bytesToRead}. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/** What was read of one archive. */
export interface VerifiedArchive {
  /** Files in it, and their bytes. */
  readonly files: number
  readonly bytes: number
  /** Values, if they were looked at. */
  readonly points: number | undefined
}

/** How many bytes of an archive are read: of its tar, or as they are stored where no key opens them. Undefined if nothing says so. */
export function bytesToRead({ part, onlyHash }: ArchiveTask): number | undefined {
  return onlyHash ? part.stored?.size : part.tarSize
}

/** Reads an archive to its end and compares all that is known of it; what is wrong goes to the findings. */
export async function verifyArchive(
  task: ArchiveTask,
  options: VerifyArchiveOptions,
): Promise<VerifiedArchive> {
  const { deep, findings, store } = options
  if (task.onlyHash) {
    await findings.collect(task, () => checkStoredHash(store, task.part, options))
    return { files: 0, bytes: 0, points: undefined }
  }
  const sums = deep ? new ShardSums() : undefined
  const files = await findings.collect(task, () =>
    checkArchive(task.shard, task.part, { ...options, sums }),
  )
  if (files === undefined) return { files: 0, bytes: 0, points: undefined }
  const sidecar = await compareSidecar(task, files, options)
  const points =
    sums && (await findings.collect(task, () => sumUp(task, sums, { ...options, sidecar })))
  const bytes = files.reduce((total, { size }) => total + size, 0)
  return { files: files.length, bytes, points }
}

/** Reads the sidecar of an archive and compares it with the manifest, the catalog and what was found. */
async function compareSidecar(
  { sidecar: listed, part, shard, ...place }: ArchiveTask,
  files: readonly InspectedFile[],
  { store, findings, signal }: VerifyArchiveOptions,
): Promise<Sidecar | undefined> {
  if (listed === undefined || findings.has(listed.name)) return undefined
  const where = { ...place, shard, file: listed.name }
  const sidecar = await findings.collect(where, () => readListedSidecar(store, listed, signal))
  if (sidecar === undefined) return undefined
  if (!isOf(sidecar, shard, part)) {
    const what = `archive ${part.name} of shard ${describeShard(shard)}`
    findings.add(where, `${listed.name}: is not of ${what}`)
  }
  const other = differingFile(sidecar, files)
  if (other !== undefined) {
    findings.add(where, `${listed.name}: file ${other} is not as it is in ${part.name}`)
  }
  return sidecar
}

function isOf(sidecar: Sidecar, shard: ShardName, { name, tarSize, stored }: ArchivePart): boolean {
  const { archive } = sidecar
  if (describeShard(sidecar) !== describeShard(shard) || archive.name !== name) return false
  if (archive.tarSize !== tarSize || archive.size !== stored?.size) return false
  return archive.sha256 === stored.sha256
}

function differingFile(sidecar: Sidecar, files: readonly InspectedFile[]): string | undefined {
  const said = new Map(sidecar.files.map((file) => [file.name, file]))
  for (const { name, size, tsm } of files) {
    const file = said.get(name)
    if (file?.size !== size || file.keys !== tsm?.keys) return name
    if (file.minTime !== tsm?.minTime || file.maxTime !== tsm?.maxTime) return name
    said.delete(name)
  }
  return [...said.keys()][0]
}

/** Adds up the points of an archive and compares them with those of its sidecar. */
async function sumUp(
  task: ArchiveTask,
  sums: ShardSums,
  { store, findings, signal, sidecar }: VerifyArchiveOptions & { sidecar: Sidecar | undefined },
): Promise<number> {
  const { name } = task.part
  const open = () => sidecar && filesIn(sidecar, (range) => store.read(name, range, signal))
  try {
    const data = await sums.finish(open)
    for (const flaw of data.flaws) findings.add(task, `${name}: ${flaw}`)
    const difference = sidecar?.data && differentTotals(sidecar.data, describeData(data))
    const where = `${name} (shard ${describeShard(task.shard)})`
    if (difference !== undefined) findings.add(task, `${where}: ${difference}`)
    return data.all.points
  } catch (error) {
    throw asDamage(error, task.shard, name)
  }
}

/** Says what is different first, between what a sidecar says and what was found. */
function differentTotals(said: SidecarData, found: SidecarData): string | undefined {
  const named = ({ measurements, otherMeasurements, ...data }: SidecarData) =>
    new Map<string, SidecarTotals>([
      ...measurements.map(
        (totals) => [`measurement ${totals.measurementHex ?? totals.measurement}`, totals] as const,
      ),
      ...(otherMeasurements ? [['other measurements', otherMeasurements] as const] : []),
      ['all measurements', data],
    ])
  const others = named(found)
  const none: SidecarTotals = { series: 0, keys: 0, points: 0, fingerprint: '0'.repeat(32) }
  for (const [name, totals] of named(said)) {
    const other = others.get(name) ?? none
    if (textOf(totals) !== textOf(other)) {
      return `${name}: ${textOf(other)}, expected ${textOf(totals)}`
    }
  }
  return undefined
}

function textOf({ series, keys, points, minTime, maxTime, fingerprint }: SidecarTotals): string {
  const times = minTime === undefined ? '' : ` from ${minTime} to ${maxTime}`
  return `${points} points of ${series} series and ${keys} keys${times}, fingerprint ${fingerprint}`
}
