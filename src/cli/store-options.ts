import type { Command } from 'commander'
import type { Store } from '../storage/index.ts'
import { addSettings, valueSetting } from './options.ts'
import { parseUrl } from './values.ts'

const GROUP = 'Storage:'
const OPTIONS = {
  s3Endpoint: valueSetting({
    flags: '--s3-endpoint <url>',
    description: 'the S3-compatible store that s3:// is in (default: AWS, or AWS_ENDPOINT_URL)',
    parse: parseUrl,
    group: GROUP,
  }),
}

/** Adds the options that say how a TARGET or SOURCE is opened. */
export function addStoreOptions(command: Command): void {
  addSettings(command, OPTIONS)
}

/**
 * Opens the store that a TARGET or SOURCE names, as the options of {@link addStoreOptions} say.
 * @throws SnapError `E_USAGE` for a place that cannot hold sets
 */
export async function openStoreAt(command: Command, location: string): Promise<Store> {
  const { openStore } = await import('../operations/open-store.ts')
  return openStore(location, { s3Endpoint: OPTIONS.s3Endpoint.read(command) })
}
