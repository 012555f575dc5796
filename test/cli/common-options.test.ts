import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import {
  addConnectionOptions,
  addDirectoryOptions,
  addSelectionOptions,
  addTimeRangeOptions,
  addTransferOptions,
  readConnectionOptions,
  readDirectoryOptions,
  readSelectionOptions,
  readTimeRangeOptions,
  readTransferOptions,
} from '../../src/cli/common-options.ts'
import { errorOf, readWith } from './harness.ts'

const declare = (command: Command) => {
  addConnectionOptions(command)
  addSelectionOptions(command)
  addTimeRangeOptions(command)
  addDirectoryOptions(command)
  addTransferOptions(command)
}

async function readFrom<T>(reader: (command: Command) => T, argv: readonly string[]) {
  const { value, context } = await readWith(argv, { declare, read: reader })
  expect(context.stderr.text).toBe('')
  return value
}

describe('the options commands share', () => {
  it('reach the server of this machine within the deadlines of the contract', async () => {
    expect(await readFrom(readConnectionOptions, [])).toEqual({
      host: '127.0.0.1:8088',
      retries: 3,
      deadlines: { connect: 10_000, firstByte: 600_000, idle: 120_000, uploadEnd: 1_800_000 },
    })
  })

  it('reach another one within others', async () => {
    const argv = '-host db1 --retries 0 --connect-timeout 1s --first-byte-timeout 2s'.split(' ')
    const more = '--idle-timeout 3s --upload-timeout 4s'.split(' ')
    expect(await readFrom(readConnectionOptions, [...argv, ...more])).toEqual({
      host: 'db1:8088',
      retries: 0,
      deadlines: { connect: 1_000, firstByte: 2_000, idle: 3_000, uploadEnd: 4_000 },
    })
  })

  it('select everything but _internal', async () => {
    expect(await readFrom(readSelectionOptions, [])).toEqual({
      databases: [],
      retentionPolicy: undefined,
      shards: [],
      excludeDatabases: ['_internal'],
    })
  })

  it('select databases, a policy and shards', async () => {
    const argv = '--db a -db b --rp c --shard 1 -shard 18446744073709551615 --exclude-db d'
    expect(await readFrom(readSelectionOptions, argv.split(' '))).toEqual({
      databases: ['a', 'b'],
      retentionPolicy: 'c',
      shards: [1n, 18446744073709551615n],
      excludeDatabases: ['d'],
    })
  })

  it('take _internal when it is asked for', async () => {
    const named = await readFrom(readSelectionOptions, ['--db', '_internal'])
    const nothing = await readFrom(readSelectionOptions, ['--exclude-db', ''])
    expect(named?.excludeDatabases).toEqual([])
    expect(nothing?.excludeDatabases).toEqual([])
  })

  it('read a range of times', async () => {
    expect(await readFrom(readTimeRangeOptions, [])).toEqual({ start: undefined, end: undefined })
    const argv = ['--start', '1970-01-01T00:00:00Z', '--end', '1970-01-01T00:00:00Z']
    expect(await readFrom(readTimeRangeOptions, argv)).toEqual({ start: 0n, end: 0n })
  })

  it('refuse an end before the start', async () => {
    const probe = { declare, read: readTimeRangeOptions }
    const argv = ['--json', '--start', '1h', '--end', '2h']
    const { context } = await readWith(argv, probe)
    expect(context.exitCode()).toBe(2)
    expect(errorOf(context)['message']).toBe('--end is before --start')
  })

  it('name the directories of an InfluxDB', async () => {
    const argv = '-datadir /d --wal-dir /w -metadir /m --influxdb-config /c'
    expect(await readFrom(readDirectoryOptions, argv.split(' '))).toEqual({
      dataDir: '/d',
      walDir: '/w',
      metaDir: '/m',
      influxdbConfig: '/c',
    })
  })

  it('say how data is moved', async () => {
    expect(await readFrom(readTransferOptions, [])).toEqual({
      jobs: 4,
      limitRate: undefined,
      tempDir: undefined,
    })
    const argv = '--jobs 8 --limit-rate 10M/s --temp-dir /t'
    expect(await readFrom(readTransferOptions, argv.split(' '))).toEqual({
      jobs: 8,
      limitRate: 10_485_760,
      tempDir: '/t',
    })
  })
})

describe('the help of a command', () => {
  it('fits a terminal, in groups, with defaults', async () => {
    const { context } = await readWith(['--help'], { declare, read: () => undefined })
    const { text } = context.stdout
    for (const heading of ['Server:', 'Selection:', 'Data directory:', 'Transfer:', 'General:'])
      expect(text).toContain(`\n${heading}\n`)
    expect(text).toContain('(default: 127.0.0.1:8088)')
    expect(text).toMatch(/--first-byte-timeout <time>[^(]*\(default:\s+10m\)/)
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(context.exitCode()).toBe(0)
  })
})
