import { createHash } from 'node:crypto'
import { type BackupOptions, backup } from '../../src/operations/backup.ts'
import { type VerifyOptions, verify } from '../../src/operations/verify.ts'
import { decodeCatalog, encodeCatalog } from '../../src/portable/catalog.ts'
import type { Directories } from '../helpers/influxd.ts'
import { MemoryStore } from '../helpers/memory-store.ts'
import { tempDir } from '../helpers/temp.ts'
import { openDirectories, type ShardFixture, writeDirectories } from './shards.ts'

const TEMP = await tempDir('spool')

interface BackUpOptions extends Partial<BackupOptions> {
  readonly store?: MemoryStore
  /** Changes the directories before they are backed up. */
  readonly prepare?: (dirs: Directories) => Promise<void>
}

/** Backs up shards into a store in memory. */
export async function backUp(
  shards: readonly ShardFixture[],
  { prepare, ...options }: BackUpOptions = {},
) {
  const dirs = await writeDirectories(shards)
  await prepare?.(dirs)
  return await backUpFrom(dirs, options)
}

/** Backs up directories into a store in memory. */
export async function backUpFrom(
  dirs: Directories,
  { store = new MemoryStore(), ...options }: Omit<BackUpOptions, 'prepare'> = {},
) {
  const { source, close } = await openDirectories(dirs)
  try {
    const result = await backup({
      ...{ source, selection: {}, jobs: 2, attempts: 1, skipErrors: false, dryRun: false },
      ...{ compression: 'gzip', tempDir: TEMP, version: '0.0.0' },
      signal: new AbortController().signal,
      ...options,
      store,
    })
    return { result, store, set: result.set ?? '' }
  } finally {
    await close()
  }
}

/** Verifies what is in a store. */
export async function verified(store: MemoryStore, options: Partial<VerifyOptions> = {}) {
  return await verify({
    ...{ store, deep: false, seed: 1, jobs: 2, tempDir: TEMP },
    signal: new AbortController().signal,
    ...options,
  })
}

/** Changes a file of a set, and its catalog so that it agrees. */
export function changeFile(
  store: MemoryStore,
  name: string,
  change: (text: string) => string | Uint8Array,
): void {
  const text = Buffer.from(store.files.get(name) ?? []).toString()
  const bytes = Buffer.from(change(text))
  store.files.set(name, bytes)
  for (const [catalogName, catalogBytes] of store.files) {
    if (!catalogName.endsWith('.snap.json')) continue
    const catalog = decodeCatalog(catalogBytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const files = catalog.files.map((file) =>
      file.name === name ? { ...file, size: bytes.length, sha256 } : file,
    )
    store.files.set(catalogName, encodeCatalog({ ...catalog, files }))
  }
}

/** The names in a store that end so. */
export function namesOf(store: MemoryStore, end: string): string[] {
  return [...store.files.keys()].filter((name) => name.endsWith(end)).sort()
}
