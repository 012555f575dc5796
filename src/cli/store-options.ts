import type { Command } from 'commander'
import type { Store } from '../storage/index.ts'
import { addSettings, valueSetting } from './options.ts'
import { parseDeadline } from './times.ts'
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
 * @throws SnapError `E_USAGE` for a place that cannot hold sets
 */
export async function openStoreAt(command: Command, location: string): Promise<Store> {
  const { openStore } = await import('../operations/open-store.ts')
  return openStore(location, readStoreOptions(command))
}

/** Opens the store that sets are written to, as the options of {@link addTargetOptions} say. Throws as {@link openStoreAt}. */
export async function openTargetAt(command: Command, location: string): Promise<Store> {
  const { openStore } = await import('../operations/open-store.ts')
  return openStore(location, {
    ...readStoreOptions(command),
    objectLockDays: WRITING.objectLockDays.read(command),
  })
}

function readStoreOptions(command: Command) {
  return {
    s3Endpoint: OPTIONS.s3Endpoint.read(command),
    s3Timeout: OPTIONS.s3Timeout.read(command),
  }
}
