import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { resolveDataDirectory } from '../../src/datadir/config.ts'
import { tempDir } from '../helpers/temp.ts'

let dir: string

beforeEach(async () => {
  dir = await tempDir('config')
})

async function config(text: string): Promise<string> {
  const path = join(dir, 'influxdb.conf')
  await writeFile(path, text)
  return path
}

const FULL = `
reporting-disabled = true
big = 9223372036854775807
[meta]
  dir = "/i/meta"
[data]
  dir = "/i/data"
  wal-dir = "/i/wal"
  index-version = "tsi1"
[[graphite]]
  enabled = false
`

describe('resolveDataDirectory with a configuration file', () => {
  it('reads the directories and the index version', async () => {
    const paths = await resolveDataDirectory({ influxdbConfig: await config(FULL), env: {} })
    expect(paths).toEqual({
      dataDir: '/i/data',
      walDir: '/i/wal',
      metaDir: '/i/meta',
      indexVersion: 'tsi1',
    })
  })

  it('prefers flags to variables and variables to the file', async () => {
    const paths = await resolveDataDirectory({
      influxdbConfig: await config(FULL),
      walDir: '/flag/wal',
      env: {
        INFLUXDB_META_DIR: '/env/meta',
        INFLUXDB_DATA_WAL_DIR: '/env/wal',
        INFLUXDB_DATA_INDEX_VERSION: 'inmem',
        INFLUXDB_DATA_DIR: '',
      },
    })
    expect(paths).toEqual({
      dataDir: '/i/data',
      walDir: '/flag/wal',
      metaDir: '/env/meta',
      indexVersion: 'inmem',
    })
  })

  it('finds the file where influxd does', async () => {
    const named = await config(FULL)
    const byVariable = await resolveDataDirectory({ env: { INFLUXDB_CONFIG_PATH: named } })
    expect(byVariable.dataDir).toBe('/i/data')
    await mkdir(join(dir, '.influxdb'))
    await writeFile(join(dir, '.influxdb/influxdb.conf'), FULL.replace('/i/data', '/home/data'))
    const byHome = await resolveDataDirectory({ env: { HOME: dir } })
    expect(byHome.dataDir).toBe('/home/data')
  })

  it('takes the home directory and inmem where there is no file', async () => {
    const paths = await resolveDataDirectory({
      env: { HOME: '/home/me', INFLUXDB_CONFIG_PATH: '/dev/null' },
    })
    expect(paths).toEqual({
      dataDir: '/home/me/.influxdb/data',
      walDir: '/home/me/.influxdb/wal',
      metaDir: '/home/me/.influxdb/meta',
      indexVersion: 'inmem',
    })
  })

  it('resolves relative directories against a given base', async () => {
    const influxdbConfig = await config(FULL.replace('/i/data', 'data'))
    const paths = await resolveDataDirectory({ influxdbConfig, base: '/base', env: {} })
    expect(paths.dataDir).toBe('/base/data')
  })

  it.each([
    ['rubbish', '[data', 'not a configuration of influxd'],
    ['a directory that is no text', '[data]\ndir = 1', 'expected text, got'],
    ['a directory left out', '[meta]\ndir = "/i/meta"', 'does not say [data] dir'],
    ['another index version', FULL.replace('tsi1', 'tsi2'), 'expected inmem or tsi1, got tsi2'],
    [
      'a WAL inside the data',
      FULL.replace('/i/wal', '/i/data/wal'),
      'is inside the data directory',
    ],
    [
      'the same directory twice',
      FULL.replace('/i/meta', '/i/data'),
      'is inside the data directory',
    ],
  ])('refuses %s', async (_, text, message) => {
    const resolving = resolveDataDirectory({ influxdbConfig: await config(text), env: {} })
    await expect(resolving).rejects.toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining(message),
    })
  })

  it('refuses a file that is not there', async () => {
    const resolving = resolveDataDirectory({ influxdbConfig: join(dir, 'none'), env: {} })
    await expect(resolving).rejects.toMatchObject({ code: 'E_USAGE' })
  })
})

describe('resolveDataDirectory with a data directory alone', () => {
  it('finds wal and meta beside it and ignores the environment', async () => {
    for (const name of ['data/db', 'wal', 'meta']) await mkdir(join(dir, name), { recursive: true })
    const env = { INFLUXDB_META_DIR: '/other', INFLUXDB_DATA_INDEX_VERSION: 'tsi1' }
    const paths = await resolveDataDirectory({ dataDir: join(dir, 'data'), env })
    expect(paths).toEqual({
      dataDir: join(dir, 'data'),
      walDir: join(dir, 'wal'),
      metaDir: join(dir, 'meta'),
      indexVersion: 'inmem',
    })
  })

  it('names siblings for a directory that is yet to be filled', async () => {
    const paths = await resolveDataDirectory({ dataDir: join(dir, 'new/data'), env: {} })
    expect(paths.walDir).toBe(join(dir, 'new/wal'))
    expect(paths.metaDir).toBe(join(dir, 'new/meta'))
  })

  it('asks for a directory that is not beside a filled one', async () => {
    await mkdir(join(dir, 'data/db'), { recursive: true })
    const resolving = resolveDataDirectory({ dataDir: join(dir, 'data'), metaDir: '/m', env: {} })
    await expect(resolving).rejects.toMatchObject({
      code: 'E_USAGE',
      hint: 'name the directory with --wal-dir',
    })
  })

  it.each([
    ['tsi1', ['1', '9/index', '10/index']],
    ['inmem', ['1/index', '9/index', '10']],
  ])('sees %s in its newest shard', async (indexVersion, shards) => {
    for (const name of ['wal', 'meta', ...shards.map((shard) => `data/db/rp/${shard}`)]) {
      await mkdir(join(dir, name), { recursive: true })
    }
    const paths = await resolveDataDirectory({ dataDir: join(dir, 'data'), env: {} })
    expect(paths.indexVersion).toBe(indexVersion)
  })
})
