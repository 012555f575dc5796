import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Identities } from '../age/index.ts'
import { asSnapError, errnoOf, messageOf, SnapError } from '../errors.ts'
import { isProven, readKnownChecks } from '../portable/checks.ts'
import { listSets, readSet, type SetListing } from '../portable/sets.ts'
import { checkTarget } from '../portable/target.ts'
import type { Store } from '../storage/index.ts'
import { checkReadable } from './check-readable.ts'
import { type ExpiringShard, findExpiring } from './expiry.ts'
import { schemeOf } from './open-store.ts'
import { OpenedStore } from './opened-store.ts'
import type { Selection } from './selection.ts'
import { abilitiesOf, type OpenServer, openServer, type ServerPlace } from './server.ts'
import { type HttpPlace, openHttp } from './server-http.ts'
import { ServerSource } from './server-source.ts'

/** One thing that was looked at. */
export interface CheckedPart {
  readonly part: 'source' | 'files' | 'http' | 'target' | 'keys' | 'temp-dir' | 'expiry'
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped'
  /** What was found. */
  readonly message: string
  /** Why it failed. */
  readonly error?: SnapError | undefined
}

/** What is to be looked at. */
export interface CheckOptions {
  readonly place: ServerPlace
  readonly http: HttpPlace
  /** As it was given; undefined: none. */
  readonly target: string | undefined
  /** Opens the target. */
  readonly openStore: (target: string) => Promise<Store>
  /** What encrypted sets are read with; undefined: nothing was given. */
  readonly identities: Identities | undefined
  /** Whether new sets are encrypted, by recipients that could be read. */
  readonly encrypts: boolean
  readonly tempDir: string
  readonly selection: Selection
  /** Undefined: shards about to be dropped are not looked for. */
  readonly expiry?: ExpiryWish | undefined
  readonly signal: AbortSignal
}

/** How shards about to be dropped are looked for. */
export interface ExpiryWish {
  /** How far is looked ahead, in ms. */
  readonly within: number
  /** Sets that nobody verified count too. */
  readonly acceptUnverified: boolean
}

/** What was found. */
export interface Checked {
  readonly parts: readonly CheckedPart[]
  /** Undefined if they were not looked for, or could not be. */
  readonly expiring: readonly ExpiringShard[] | undefined
}

type Finding = Pick<CheckedPart, 'message'> & { readonly status?: CheckedPart['status'] }

/** With less room for temporary files than this, a large shard may not fit: influxd cuts TSM files at 2 GiB. */
const WANTED_TEMP = 2 * 1024 ** 3

/** Looks at everything that a backup needs, in the order in which it would need it, and changes nothing. */
export async function check(options: CheckOptions): Promise<Checked> {
  const { place, target, signal } = options
  const parts: CheckedPart[] = []
  const look = async <T>(part: CheckedPart['part'], work: () => Promise<readonly [Finding, T]>) => {
    try {
      const [finding, value] = await work()
      parts.push({ part, status: 'ok', ...finding })
      return value
    } catch (thrown) {
      signal.throwIfAborted()
      const error = asSnapError(thrown, 'E_FAILED', part)
      parts.push({ part, status: 'failed', message: error.message, error })
      return undefined
    }
  }
  await look('temp-dir', async () => [await lookAtTempDir(options.tempDir), undefined])
  const server = await look('source', async () => await lookAtSource(place, signal))
  try {
    if (server !== undefined && 'directory' in place) {
      await look('files', async () => [await lookAtFiles(place, signal), undefined])
    }
    if (server !== undefined) {
      await look('http', async () => [await lookAtHttp(server, options), undefined])
    }
    const listing =
      target === undefined
        ? undefined
        : await look('target', async () => await lookAtTarget(target, server, options))
    if (target !== undefined && (options.encrypts || options.identities !== undefined)) {
      await look('keys', async () => [await lookAtKeys(target, options), undefined])
    }
    const expiring =
      options.expiry &&
      (await lookAtExpiry(look, { options, server, listing, wish: options.expiry }))
    return { parts, expiring }
  } finally {
    await server?.opened.close()
  }
}

interface LookedAt {
  readonly opened: OpenServer
  readonly clusterId: bigint
  /** Whether it says itself that a shard is complete. */
  readonly isOurs: boolean
}

async function lookAtSource(
  place: ServerPlace,
  signal: AbortSignal,
): Promise<readonly [Finding, LookedAt]> {
  const opened = await openServer(place)
  try {
    const { node } = await opened.client.metastoreBytes(signal)
    const { databases, clusterId } = await opened.client.metastoreBackup(signal)
    const { Paths } = await opened.client.databaseInfo('', signal)
    const isOurs = abilitiesOf(node).statement
    const kind = 'directory' in place ? '' : isOurs ? ', snap serve' : ', influxd'
    const counts = `databases: ${databases.length}, shards: ${Paths.length}`
    return [{ message: `${opened.name}${kind}: ${counts}` }, { opened, clusterId, isOurs }]
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function lookAtFiles(
  place: Extract<ServerPlace, { directory: unknown }>,
  signal: AbortSignal,
): Promise<Finding> {
  const { files, directories } = await checkReadable(place.directory, signal)
  return { message: `can be opened for reading: files: ${files}, in shards: ${directories}` }
}

async function lookAtHttp(
  { opened, isOurs }: LookedAt,
  { http: place, signal }: CheckOptions,
): Promise<Finding> {
  if (place.url === undefined && (isOurs || opened.openShard !== undefined)) {
    return { status: 'skipped', message: 'not needed: the source says itself what is complete' }
  }
  try {
    const http = await openHttp(opened, place, signal)
    return { message: `${http.url} is the same server` }
  } catch (error) {
    if (place.url !== undefined || signal.aborted) throw error
    const message = `backups will be unconfirmed: ${messageOf(error)}; give --http`
    return { status: 'warning', message }
  }
}

async function lookAtTarget(
  target: string,
  server: LookedAt | undefined,
  { openStore, identities, signal }: CheckOptions,
): Promise<readonly [Finding, SetListing]> {
  const store = await openStore(target)
  const opened = identities === undefined ? store : new OpenedStore(store, identities)
  const listing = await listSets(opened, signal)
  if (server !== undefined) {
    await checkTarget(listing, { clusterId: server.clusterId, kind: 'full' }, signal)
  }
  const { sets } = listing
  const newest = sets[0] === undefined ? '' : `, the newest of ${sets[0].time.toISOString()}`
  const held = `${store.url}: sets: ${sets.length}${newest}`
  if (schemeOf(target) !== undefined) {
    return [{ message: `${held}; can be listed and read, writing was not tried` }, listing]
  }
  return [{ message: `${held}; ${await lookAtDirectory(resolve(target))}` }, listing]
}

/** Reads the newest encrypted set with the keys that were given. */
async function lookAtKeys(
  target: string,
  { openStore, identities, encrypts, signal }: CheckOptions,
): Promise<Finding> {
  const recipients = encrypts ? 'recipients can be read' : 'no recipients'
  if (identities === undefined) return { message: `${recipients}; no key to read sets with` }
  const store = await openStore(target)
  const sealed = (await listSets(store, signal)).sets.find((set) => set.sealed)
  const listing = await listSets(new OpenedStore(store, identities), signal)
  const newest = listing.sets.find(({ name }) => name === sealed?.name)
  if (newest === undefined) return { message: `${recipients}; there is no encrypted set to read` }
  await readSet(listing, newest, signal)
  return { message: `${recipients}; the keys read set ${newest.name}` }
}

/** What can be said of writing without leaving anything: permissions, and the room. */
async function lookAtDirectory(path: string): Promise<string> {
  const directory = await existing(path)
  await expectWritable(directory)
  const room = `${gibibytes(await freeSpace(directory))} free`
  return directory === path ? `writable by its permissions, ${room}` : `will be made, ${room}`
}

/** The directory, or the nearest above it that is there. */
async function existing(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && dirname(path) !== path) return await existing(dirname(path))
    throw asSnapError(error, 'E_DESTINATION', path)
  }
  throw new SnapError('E_DESTINATION', `${path} is no directory`)
}

async function expectWritable(directory: string): Promise<void> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw asSnapError(error, 'E_DESTINATION', directory)
  }
}

async function freeSpace(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

async function lookAtTempDir(directory: string): Promise<Finding> {
  const found = (await stat(directory).catch(() => undefined))?.isDirectory()
  if (!found) throw new SnapError('E_DESTINATION', `${directory}: no directory for temporary files`)
  await expectWritable(directory)
  const free = await freeSpace(directory)
  const message = `${directory}: writable, ${gibibytes(free)} free`
  if (free >= WANTED_TEMP) return { message }
  return { status: 'warning', message: `${message}; a large TSM file needs up to 2 GiB` }
}

interface ExpiryLook {
  readonly options: CheckOptions
  readonly server: LookedAt | undefined
  readonly listing: SetListing | undefined
  readonly wish: ExpiryWish
}

type Look = <T>(
  part: CheckedPart['part'],
  work: () => Promise<readonly [Finding, T]>,
) => Promise<T | undefined>

async function lookAtExpiry(
  look: Look,
  { options, server, listing, wish }: ExpiryLook,
): Promise<readonly ExpiringShard[] | undefined> {
  return await look('expiry', async () => {
    if (server === undefined || listing === undefined) {
      const message = 'cannot be told: source or target could not be read'
      return [{ status: 'skipped', message }, undefined]
    }
    const { selection, signal } = options
    const { within } = wish
    const verified = await setsThatCount(listing, wish, signal)
    const expiring = await findExpiring({
      ...{ source: new ServerSource(server.opened), selection, listing, within, signal },
      verified,
      now: Date.now(),
    })
    const count = expiring.filter(({ state }) => state !== 'held').length
    if (count === 0) {
      return [{ message: `about to be dropped: ${expiring.length}, all held` }, expiring]
    }
    const message = `about to be dropped: ${expiring.length}, not held: ${count}`
    return [{ status: 'warning', message }, expiring]
  })
}

/** Returns the names of the sets that shards may be held by. */
async function setsThatCount(
  listing: SetListing,
  { acceptUnverified }: ExpiryWish,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (const { name } of listing.sets) {
    if (acceptUnverified || isProven(await readKnownChecks(listing, name, signal))) names.add(name)
  }
  return names
}
