import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'smol-toml'
import { asSnapError, SnapError } from '../errors.ts'
import {
  INDEX_DIRECTORY,
  isInside,
  listShardDirectories,
  namesIn,
  shardParts,
  statIfThere,
} from './layout.ts'

/** The index of new shards: in memory, or on disk in the shard's `index` directory. */
export type IndexVersion = 'inmem' | 'tsi1'

/** The directories of one influxd, absolute. */
export interface DataDirectoryPaths {
  /** `[data] dir`: TSM files, tombstones and indexes. */
  readonly dataDir: string
  /** `[data] wal-dir`: what was written and not yet flushed into TSM files. */
  readonly walDir: string
  /** `[meta] dir`: meta.db. */
  readonly metaDir: string
  /** `[data] index-version`: how new shards are made. */
  readonly indexVersion: IndexVersion
}

/** What names the directories: flags, then `INFLUXDB_*` variables, then influxd's configuration file. */
export interface PathOptions {
  readonly dataDir?: string | undefined
  readonly walDir?: string | undefined
  readonly metaDir?: string | undefined
  readonly indexVersion?: string | undefined
  /** The configuration file. Default, as for influxd: `INFLUXDB_CONFIG_PATH`, then the usual places. */
  readonly influxdbConfig?: string | undefined
  /** What relative paths are relative to. Default: the working directory. */
  readonly base?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

type DirectoryName = 'dataDir' | 'walDir' | 'metaDir'

/** Settings that may be left out. */
type Settings = { readonly [Name in keyof DataDirectoryPaths]?: string | undefined }

function homeOf(env: PathOptions['env']): string {
  return env['HOME'] || homedir()
}

/** Finds influxd's configuration file where influxd looks for it; `/dev/null` stands for none. */
async function findConfig(options: PathOptions): Promise<string | undefined> {
  const named = options.influxdbConfig ?? (options.env['INFLUXDB_CONFIG_PATH'] || undefined)
  if (named !== undefined) return named === '/dev/null' ? undefined : named
  const usual = [
    join(homeOf(options.env), '.influxdb/influxdb.conf'),
    '/etc/influxdb/influxdb.conf',
  ]
  for (const path of usual) {
    if ((await statIfThere(path)) !== undefined) return path
  }
  return undefined
}

function textAt(table: unknown, key: string, where: string): string | undefined {
  const value: unknown = isTable(table) ? table[key] : undefined
  if (value === undefined || value === '') return undefined
  if (typeof value === 'string') return value
  throw new SnapError('E_USAGE', `${where}: ${key}: expected text, got ${typeof value}`)
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

async function readConfig(path: string): Promise<Settings> {
  try {
    const text = new TextDecoder().decode(await readFile(path))
    const { meta, data } = parse(text, { integersAsBigInt: true })
    return {
      metaDir: textAt(meta, 'dir', `${path}: [meta]`),
      dataDir: textAt(data, 'dir', `${path}: [data]`),
      walDir: textAt(data, 'wal-dir', `${path}: [data]`),
      indexVersion: textAt(data, 'index-version', `${path}: [data]`),
    }
  } catch (error) {
    throw asSnapError(error, 'E_USAGE', `${path}: not a configuration of influxd`)
  }
}

/** What influxd takes when it runs without any configuration file. */
function defaultSettings(env: PathOptions['env']): Settings {
  const home = join(homeOf(env), '.influxdb')
  return { metaDir: join(home, 'meta'), dataDir: join(home, 'data'), walDir: join(home, 'wal') }
}

function environmentSettings(env: PathOptions['env']): Settings {
  return {
    metaDir: env['INFLUXDB_META_DIR'] || undefined,
    dataDir: env['INFLUXDB_DATA_DIR'] || undefined,
    walDir: env['INFLUXDB_DATA_WAL_DIR'] || undefined,
    indexVersion: env['INFLUXDB_DATA_INDEX_VERSION'] || undefined,
  }
}

/** Takes `wal` and `meta` beside the data directory if they are there, or if all of it is yet to be made. */
async function siblingSettings(dataDir: string, flags: Settings): Promise<Settings> {
  const parent = dirname(resolve(dataDir))
  const found: Settings = { walDir: join(parent, 'wal'), metaDir: join(parent, 'meta') }
  if ((await namesIn(dataDir)).length === 0) return found
  const missing = async (name: DirectoryName) =>
    flags[name] === undefined && (await statIfThere(found[name] ?? '')) === undefined
  for (const [name, flag] of [
    ['walDir', '--wal-dir'] as const,
    ['metaDir', '--meta-dir'] as const,
  ]) {
    if (!(await missing(name))) continue
    throw new SnapError('E_USAGE', `${dataDir}: there is no ${found[name]}`, {
      hint: `name the directory with ${flag}`,
    })
  }
  return found
}

async function layersOf(options: PathOptions): Promise<Settings[]> {
  const { dataDir, influxdbConfig, env } = options
  // A data directory named alone is not mixed with whatever server this machine is set up for.
  if (dataDir !== undefined && influxdbConfig === undefined) {
    return [options, await siblingSettings(dataDir, options)]
  }
  const path = await findConfig(options)
  const base = path === undefined ? defaultSettings(env) : await readConfig(path)
  return [options, environmentSettings(env), base, { indexVersion: 'inmem' }]
}

function pick(layers: readonly Settings[], name: keyof Settings): string | undefined {
  return layers.map((layer) => layer[name]).find((value) => value !== undefined)
}

function pickDirectory(layers: readonly Settings[], name: DirectoryName): string {
  const value = pick(layers, name)
  if (value !== undefined) return value
  const key = { dataDir: '[data] dir', walDir: '[data] wal-dir', metaDir: '[meta] dir' }[name]
  throw new SnapError('E_USAGE', `the configuration of influxd does not say ${key}`)
}

/** How new shards are made where nothing says it: like the newest shard that is there. */
async function detectIndexVersion(dataDir: string): Promise<IndexVersion> {
  if ((await statIfThere(dataDir)) === undefined) return 'inmem'
  const shards = await listShardDirectories(dataDir)
  const newest = shards.reduce<(typeof shards)[number] | undefined>(
    (best, shard) => (best === undefined || shard.shardId > best.shardId ? shard : best),
    undefined,
  )
  if (newest === undefined) return 'inmem'
  const index = join(dataDir, ...shardParts(newest), INDEX_DIRECTORY)
  return (await statIfThere(index)) === undefined ? 'inmem' : 'tsi1'
}

function checkIndexVersion(value: string): IndexVersion {
  if (value === 'inmem' || value === 'tsi1') return value
  throw new SnapError('E_USAGE', `index-version: expected inmem or tsi1, got ${value}`)
}

/** A WAL or metastore inside the data directory would be read as a database. */
function checkApart({ dataDir, walDir, metaDir }: DataDirectoryPaths): void {
  for (const other of [walDir, metaDir]) {
    if (!isInside(dataDir, other)) continue
    throw new SnapError('E_USAGE', `${other} is inside the data directory ${dataDir}`)
  }
}

/**
 * Finds the directories of an influxd. With `dataDir` and no configuration file, `wal` and `meta` are looked for beside
 * it, and the index version is that of its newest shard. Otherwise influxd's own rules hold: `INFLUXDB_*` variables over
 * its configuration file (its usual places if none is named), flags over both, and `~/.influxdb` without any file.
 * @throws SnapError `E_USAGE` for an unreadable configuration or a directory that nothing names
 */
export async function resolveDataDirectory(options: PathOptions): Promise<DataDirectoryPaths> {
  const layers = await layersOf(options)
  const directory = (name: DirectoryName) =>
    resolve(options.base ?? '', pickDirectory(layers, name))
  const dataDir = directory('dataDir')
  const paths = {
    dataDir,
    walDir: directory('walDir'),
    metaDir: directory('metaDir'),
    indexVersion: checkIndexVersion(
      pick(layers, 'indexVersion') ?? (await detectIndexVersion(dataDir)),
    ),
  }
  checkApart(paths)
  return paths
}
