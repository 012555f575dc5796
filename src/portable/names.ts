/** Names of sets and of the files of a set (docs/formats/portable-set.md). */
import { PENDING_SUFFIX } from '../io/pending.ts'

const SET_NAME_LENGTH = 16
const SET_NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/

/** Formats the name of a set taken at `time`: `YYYYMMDDThhmmssZ` in UTC, fractions of a second dropped. */
export function formatSetName(time: Date): string {
  return `${time.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}

/** The time in the name of a set; undefined if it is no such name or no such time. */
export function parseSetName(name: string): Date | undefined {
  const match = SET_NAME.exec(name)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1)
  const time = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // 30 February and 24:00 are read as times of the next day; all else that is no time is none.
  const isSame = time.getUTCDate() === Number(day) && time.getUTCHours() === Number(hour)
  return isSame ? time : undefined
}

/** Returns the name for a set taken at `time`, or at the next second that no file in `fileNames` belongs to. */
export function nextFreeSetName(time: Date, fileNames: Iterable<string>): string {
  const taken = new Set<string>()
  for (const fileName of fileNames) taken.add(fileName.slice(0, SET_NAME_LENGTH))
  for (let free = time; ; free = new Date(free.getTime() + 1000)) {
    const name = formatSetName(free)
    if (!taken.has(name)) return name
  }
}

/** The manifest of a set: the one file that makes it a backup. */
export function manifestName(set: string): string {
  return `${set}${MANIFEST_SUFFIX}`
}

/** What the name of every manifest ends in, stock ones too. */
export const MANIFEST_SUFFIX = '.manifest'

/** The metastore of a set. */
export function metaName(set: string): string {
  return `${set}.meta`
}

/** The archive of one shard of a set. */
export function archiveName(set: string, shardId: bigint): string {
  return `${set}.s${shardId}.tar.gz`
}

/** The name that goes into the gzip header of an archive: its own, without `.gz`. */
export function archiveTarName(set: string, shardId: bigint): string {
  return `${set}.s${shardId}.tar`
}

/** Our description of the archive of one shard. It stands beside the archive, also when another set shares both. */
export function sidecarName(set: string, shardId: bigint): string {
  return `${set}.s${shardId}.json`
}

const ARCHIVE_END = /\.tar\.gz(?=$|\.age$)/

/** The name of the sidecar beside an archive, by the archive's: both encrypted or both not. Undefined if that names no archive. */
export function sidecarBeside(archive: string): string | undefined {
  return ARCHIVE_END.test(archive) ? archive.replace(ARCHIVE_END, '.json') : undefined
}

/** What a run notes of a shard that it has finished; only ever under a `.pending` name. */
export function finishedName(set: string, shardId: bigint): string {
  return `${set}.s${shardId}.done`
}

/** Our catalog of a set. */
export function catalogName(set: string): string {
  return `${set}.snap.json`
}

/** Says that a set is not to be removed. */
export function pinName(set: string): string {
  return `${set}.pin`
}

/** How the set was verified and drilled last. Not a part of it: it changes while the set stays as it is. */
export function checksName(set: string): string {
  return `${set}.checks.json`
}

/** Says which sets a prune is removing, from before the first file is deleted until the last one is. */
export const JOURNAL_NAME = `prune${PENDING_SUFFIX}`

/** How a run uses a target: beside others that do the same, or alone. */
export type LockMode = 'shared' | 'exclusive'

/** What the name of every lock begins with. */
export const LOCK_PREFIX = 'snap-'

const LOCK_NAME = /^snap-(shared|exclusive)-[0-9a-f]{32}\.lock$/

/** The lock of one run. @param id 32 hex digits that no other run has */
export function lockName(mode: LockMode, id: string): string {
  return `${LOCK_PREFIX}${mode}-${id}.lock`
}

/** Returns the mode in the name of a lock; undefined for all other names. */
export function parseLockName(fileName: string): LockMode | undefined {
  const mode = LOCK_NAME.exec(fileName)?.[1]
  return mode === 'shared' || mode === 'exclusive' ? mode : undefined
}

/** What the name of every encrypted file of a set ends in, after the name that it has without. */
const SEALED_SUFFIX = '.age'

/** The name under which a file of a set is stored encrypted. */
export function sealedName(name: string): string {
  return name + SEALED_SUFFIX
}

/** The name of a file of a set by the name it is stored under: that of an encrypted one without its end. */
export function openedName(storedName: string): string {
  return isSealedName(storedName) ? storedName.slice(0, -SEALED_SUFFIX.length) : storedName
}

/** The name that a file of a set is stored under. */
export function storedName(
  name: string,
  { sealed = false }: { readonly sealed?: boolean | undefined },
): string {
  return sealed ? sealedName(name) : name
}

/** True if a file of this name is encrypted. */
export function isSealedName(storedName: string): boolean {
  return storedName.endsWith(SEALED_SUFFIX)
}

/** What the name of a file in a target says. */
export type SetFileName =
  | { readonly set: string; readonly kind: 'manifest' | 'meta' | 'catalog' | 'pin' | 'checks' }
  | {
      readonly set: string
      readonly kind: 'archive' | 'sidecar' | 'finished'
      readonly shardId: bigint
    }

const SHARD_KINDS: ReadonlyMap<string, 'archive' | 'sidecar' | 'finished'> = new Map([
  ['tar.gz', 'archive'],
  ['json', 'sidecar'],
  ['done', 'finished'],
])

const SHARD_FILE = /^s(0|[1-9]\d{0,19})\.(tar\.gz|json|done)$/
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn

/** True for what stands beside a set and is no part of it. */
export function isBeside({ kind }: SetFileName): boolean {
  return kind === 'pin' || kind === 'checks'
}

/**
 * Parses the name of a finished file of a set, encrypted or not; undefined for all other names, `.pending` ones too.
 */
export function parseFileName(storedName: string): SetFileName | undefined {
  const fileName = openedName(storedName)
  const set = fileName.slice(0, SET_NAME_LENGTH)
  if (parseSetName(set) === undefined || fileName[SET_NAME_LENGTH] !== '.') return undefined
  const rest = fileName.slice(SET_NAME_LENGTH + 1)
  if (rest === 'manifest' || rest === 'meta') return { set, kind: rest }
  if (rest === 'snap.json') return { set, kind: 'catalog' }
  if (rest === 'pin') return { set, kind: 'pin' }
  if (rest === 'checks.json') return { set, kind: 'checks' }
  const [, digits, suffix = ''] = SHARD_FILE.exec(rest) ?? []
  const kind = SHARD_KINDS.get(suffix)
  if (digits === undefined || kind === undefined || BigInt(digits) > MAX_UINT64) return undefined
  return { set, kind, shardId: BigInt(digits) }
}
