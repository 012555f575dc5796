import type { Command } from 'commander'
import { SnapError } from '../errors.ts'
import { addSecurityOptions } from './client-security.ts'
import { addSettings, listSetting, switchSetting, valueSetting } from './options.ts'
import { MAX_TIME, MIN_TIME, parseDeadline, parseTime } from './times.ts'
import { oneOf, parseHost, parseRate, parseShardId, parseText, wholeNumber } from './values.ts'

const CONNECTION_GROUP = 'Server:'
const deadline = (flags: string, description: string, fallback: string) =>
  valueSetting({ flags, description, parse: parseDeadline, fallback, group: CONNECTION_GROUP })

const CONNECTION = {
  host: valueSetting({
    flags: '--host <host:port>',
    description: 'the snapshotter port of influxd or of snap serve',
    parse: parseHost,
    fallback: '127.0.0.1:8088',
    group: CONNECTION_GROUP,
  }),
  retries: valueSetting({
    flags: '--retries <n>',
    description: 'how often a failed transfer is tried again',
    parse: wholeNumber(0, 100),
    fallback: '3',
    group: CONNECTION_GROUP,
  }),
  connect: deadline('--connect-timeout <time>', 'limit for a connection', '10s'),
  firstByte: deadline(
    '--first-byte-timeout <time>',
    'limit for the first byte; a server flushes its cache first',
    '10m',
  ),
  idle: deadline('--idle-timeout <time>', 'limit for a silence within a transfer', '2m'),
  uploadEnd: deadline(
    '--upload-timeout <time>',
    'limit for the end of an upload; a server rebuilds its index',
    '30m',
  ),
}

/** How a server is reached. */
export interface ConnectionOptions {
  /** `host:port` */
  readonly host: string
  readonly retries: number
  /** Milliseconds each. */
  readonly deadlines: {
    readonly connect: number
    readonly firstByte: number
    readonly idle: number
    readonly uploadEnd: number
  }
}

/** Adds `--host`, `--retries` and the deadlines, and `--tls` with what goes with it. */
export function addConnectionOptions(command: Command): void {
  addSettings(command, CONNECTION)
  addSecurityOptions(command)
}

/** Reads the options of {@link addConnectionOptions}. */
export function readConnectionOptions(command: Command): ConnectionOptions {
  return {
    host: CONNECTION.host.read(command),
    retries: CONNECTION.retries.read(command),
    deadlines: {
      connect: CONNECTION.connect.read(command),
      firstByte: CONNECTION.firstByte.read(command),
      idle: CONNECTION.idle.read(command),
      uploadEnd: CONNECTION.uploadEnd.read(command),
    },
  }
}

const SELECTION_GROUP = 'Selection:'
const SELECTION = {
  databases: listSetting({
    flags: '--db <name>',
    description: 'only this database, or those that match a*b? (may be given again)',
    parse: parseText,
    group: SELECTION_GROUP,
  }),
  retentionPolicy: valueSetting({
    flags: '--rp <name>',
    description: 'only this retention policy',
    parse: parseText,
    group: SELECTION_GROUP,
  }),
  shards: listSetting({
    flags: '--shard <id>',
    description: 'only this shard (may be given again)',
    parse: parseShardId,
    group: SELECTION_GROUP,
  }),
  excludeDatabases: listSetting({
    flags: '--exclude-db <name>',
    description: 'not this database (may be given again; default: _internal)',
    parse: (text: string) => text,
    group: SELECTION_GROUP,
  }),
}

const TIME_RANGE = {
  start: valueSetting({
    flags: '--start <time>',
    description: 'only points at or after this time (RFC 3339, or 36h, 7d back)',
    parse: (text, name) => parseTime(text, name),
    group: SELECTION_GROUP,
  }),
  end: valueSetting({
    flags: '--end <time>',
    description: 'only points at or before this time',
    parse: (text, name) => parseTime(text, name),
    group: SELECTION_GROUP,
  }),
}

/** Which part of a server or a backup is meant. Empty lists mean all. */
export interface SelectionOptions {
  readonly databases: readonly string[]
  readonly retentionPolicy: string | undefined
  readonly shards: readonly bigint[]
  /** `_internal` if nothing else was said and `--db` does not name it. */
  readonly excludeDatabases: readonly string[]
}

/** Adds `--db`, `--rp`, `--shard` and `--exclude-db`. */
export function addSelectionOptions(command: Command): void {
  addSettings(command, SELECTION)
}

/** Reads the options of {@link addSelectionOptions}. */
export function readSelectionOptions(command: Command): SelectionOptions {
  const databases = SELECTION.databases.read(command)
  const said = SELECTION.excludeDatabases.read(command)
  const excluded =
    said.length > 0 ? said : ['_internal'].filter((name) => !databases.includes(name))
  return {
    databases,
    retentionPolicy: SELECTION.retentionPolicy.read(command),
    shards: SELECTION.shards.read(command),
    excludeDatabases: excluded.filter((name) => name !== ''),
  }
}

/** A range of times, both ends in it, nanoseconds since the epoch; `undefined` is open. */
export interface TimeRangeOptions {
  readonly start: bigint | undefined
  readonly end: bigint | undefined
}

/** Adds `--start` and `--end`. */
export function addTimeRangeOptions(command: Command): void {
  addSettings(command, TIME_RANGE)
}

/**
 * Reads the options of {@link addTimeRangeOptions}.
 * @throws SnapError `E_USAGE` if the end is before the start
 */
export function readTimeRangeOptions(command: Command): TimeRangeOptions {
  const start = TIME_RANGE.start.read(command)
  const end = TIME_RANGE.end.read(command)
  if (start !== undefined && end !== undefined && end < start) {
    throw new SnapError('E_USAGE', '--end is before --start', {
      hint: 'both ends are part of the range; swap them or widen it',
    })
  }
  return { start, end }
}

/** Reads the same as a range with both ends: an open one is the first or last time there is. Undefined if both are open. */
export function readExactRange(
  command: Command,
): { readonly start: bigint; readonly end: bigint } | undefined {
  const { start, end } = readTimeRangeOptions(command)
  if (start === undefined && end === undefined) return undefined
  return { start: start ?? MIN_TIME, end: end ?? MAX_TIME }
}

const DIRECTORIES_GROUP = 'Data directory:'
const directory = (flags: string, description: string) =>
  valueSetting({ flags, description, parse: parseText, group: DIRECTORIES_GROUP })

const DIRECTORIES = {
  dataDir: directory('--data-dir <dir>', "InfluxDB's data directory, instead of a server"),
  walDir: directory('--wal-dir <dir>', 'its WAL directory'),
  metaDir: directory('--meta-dir <dir>', 'its meta directory'),
  influxdbConfig: directory('--influxdb-config <file>', 'influxdb.conf, to take all three from'),
}

/** Where an InfluxDB keeps its files. */
export interface DirectoryOptions {
  readonly dataDir: string | undefined
  readonly walDir: string | undefined
  readonly metaDir: string | undefined
  readonly influxdbConfig: string | undefined
}

/** Adds `--data-dir`, `--wal-dir`, `--meta-dir` and `--influxdb-config`. */
export function addDirectoryOptions(command: Command): void {
  addSettings(command, DIRECTORIES)
}

/** Reads the options of {@link addDirectoryOptions}. */
export function readDirectoryOptions(command: Command): DirectoryOptions {
  return {
    dataDir: DIRECTORIES.dataDir.read(command),
    walDir: DIRECTORIES.walDir.read(command),
    metaDir: DIRECTORIES.metaDir.read(command),
    influxdbConfig: DIRECTORIES.influxdbConfig.read(command),
  }
}

const WRITING = {
  indexVersion: valueSetting({
    flags: '--index-version <version>',
    description: 'how new shards are made: inmem or tsi1 (default: as the newest shard is)',
    parse: oneOf('inmem', 'tsi1'),
    group: DIRECTORIES_GROUP,
  }),
  influxdIsStopped: switchSetting({
    flags: '--influxd-is-stopped',
    description: 'your word, where snap cannot see that no influxd uses the directory',
    group: DIRECTORIES_GROUP,
  }),
}

/** How a data directory is written to. */
export interface WritingOptions {
  readonly indexVersion: 'inmem' | 'tsi1' | undefined
  readonly influxdIsStopped: boolean
}

/** Adds `--index-version` and `--influxd-is-stopped`, for commands that may write into a data directory. */
export function addWritingOptions(command: Command): void {
  addSettings(command, WRITING)
}

/** Reads the options of {@link addWritingOptions}. */
export function readWritingOptions(command: Command): WritingOptions {
  return {
    indexVersion: WRITING.indexVersion.read(command),
    influxdIsStopped: WRITING.influxdIsStopped.read(command),
  }
}

const TRANSFER_GROUP = 'Transfer:'
const TRANSFER = {
  jobs: valueSetting({
    flags: '--jobs <n>',
    description: 'shards at a time',
    parse: wholeNumber(1, 64),
    fallback: '4',
    group: TRANSFER_GROUP,
  }),
  limitRate: valueSetting({
    flags: '--limit-rate <rate>',
    description: 'bytes per second, all shards together (10MiB/s)',
    parse: parseRate,
    group: TRANSFER_GROUP,
  }),
  tempDir: valueSetting({
    flags: '--temp-dir <dir>',
    description: 'place for spooled files (default: the system’s)',
    parse: parseText,
    group: TRANSFER_GROUP,
  }),
}

/** How data is moved. */
export interface TransferOptions {
  readonly jobs: number
  /** Bytes per second. */
  readonly limitRate: number | undefined
  readonly tempDir: string | undefined
}

/** Adds `--jobs`, `--limit-rate` and `--temp-dir`. */
export function addTransferOptions(command: Command): void {
  addSettings(command, TRANSFER)
}

/** Reads the options of {@link addTransferOptions}. */
export function readTransferOptions(command: Command): TransferOptions {
  return {
    jobs: TRANSFER.jobs.read(command),
    limitRate: TRANSFER.limitRate.read(command),
    tempDir: TRANSFER.tempDir.read(command),
  }
}
