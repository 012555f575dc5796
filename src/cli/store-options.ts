import type { Command } from 'commander'
import type { LockedPlace } from '../operations/locked-store.ts'
import type { Progress } from '../operations/progress.ts'
import type { Store } from '../storage/index.ts'
import { addSettings, valueSetting } from './options.ts'
import { parseDeadline, parseWait } from './times.ts'
import { parseUrl, wholeNumber } from './values.ts'

/** Ten years: what is locked by mistake cannot be unlocked. */
const MAX_LOCK_DAYS = 3660
const GROUP = 'Storage:'
const OPTIONS = {
  s3Endpoint: valueSetting({
    flags: '--s3-endpoint <url>',
    description: 'the S3-compatible store that s3:// is in (default: AWS, or AWS_ENDPOINT_URL)',
    parse: parseUrl,
    group: GROUP,
  }),
  s3Timeout: valueSetting({
    flags: '--s3-timeout <time>',
    description: 'limit for a silence of that store within a request; it is asked four times',
    parse: parseDeadline,
    fallback: '1m',
    group: GROUP,
  }),
}

const WRITING = {
  objectLockDays: valueSetting({
    flags: '--object-lock-days <n>',
    description: 'nobody can delete the files of the set for n days; the bucket needs object lock',
    parse: wholeNumber(1, MAX_LOCK_DAYS),
    group: GROUP,
  }),
}

const LOCK = {
  lockWait: valueSetting({
    flags: '--lock-wait <time>',
    description: 'how long to wait for other runs on the same target (10m)',
    parse: parseWait,
    fallback: '0',
    group: GROUP,
  }),
}

/** Adds the options that say how a TARGET or SOURCE is opened. */
export function addStoreOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/** Adds the same for a command that writes sets. */
export function addTargetOptions(command: Command): void {
  addStoreOptions(command)
  addSettings(command, WRITING)
}

/**
 * Opens the store that a TARGET or SOURCE names, as the options of {@link addStoreOptions} say.
 * @param s3Endpoint URL of the store that it is in, if that is not the one that the options say
 * @throws SnapError `E_USAGE` for a place that cannot hold sets
 */
export async function openStoreAt(
  command: Command,
  location: string,
  s3Endpoint?: string,
): Promise<Store> {
  const { openStore } = await import('../operations/open-store.ts')
  const options = readStoreOptions(command)
  return openStore(location, { ...options, ...(s3Endpoint !== undefined && { s3Endpoint }) })
}

/** Opens the store that sets are written to, as the options of {@link addTargetOptions} say. Throws as {@link openStoreAt}. */
export async function openTargetAt(
  command: Command,
  location: string,
  s3Endpoint?: string,
): Promise<Store> {
  const { openStore } = await import('../operations/open-store.ts')
  return openStore(location, {
    ...readStoreOptions(command),
    ...(s3Endpoint !== undefined && { s3Endpoint }),
    objectLockDays: WRITING.objectLockDays.read(command),
  })
}

function readStoreOptions(command: Command) {
  return {
    s3Endpoint: OPTIONS.s3Endpoint.read(command),
    s3Timeout: OPTIONS.s3Timeout.read(command),
  }
}

/** Adds `--lock-wait`, for commands that use {@link withStore}. */
export function addLockOptions(command: Command): void {
  addSettings(command, LOCK)
}

/** What a command does with a place: `look` needs no lock, `delete` the whole place, `read` and `write` share it. */
export type StoreUse = 'look' | 'read' | 'write' | 'delete'

/** Where a command works, and what for. */
export interface StoreWork {
  readonly run: { readonly signal: AbortSignal; readonly progress: Progress }
  /** A TARGET or SOURCE. */
  readonly location: string
  readonly use: StoreUse
  /** URL of the store that it is in, if that is not the one that the options say. */
  readonly s3Endpoint?: string | undefined
}

/**
 * Does the work of a command in the store that a TARGET or SOURCE names, locked against other runs as its use needs.
 *
 * @param work uses the signal it is given: it also ends with the lock
 * @throws SnapError `E_USAGE` for a place that cannot hold sets, `E_LOCKED` if another run has it, what `work` throws
 */
export async function withStore<T>(
  command: Command,
  { run, location, use, s3Endpoint }: StoreWork,
  work: (place: LockedPlace) => Promise<T>,
): Promise<T> {
  const open = use === 'write' ? openTargetAt : openStoreAt
  const store = await open(command, location, s3Endpoint)
  const { signal, progress } = run
  if (use === 'look') return await work({ store, signal })
  const { withLock } = await import('../operations/locked-store.ts')
  const wish = {
    mode: use === 'delete' ? 'exclusive' : 'shared',
    reads: use === 'read',
    command: command.name(),
    wait: LOCK.lockWait.read(command),
  } as const
  return await withLock(store, { ...wish, signal, progress }, work)
}
