import { readdir, rm, stat } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { fixture, fixturePath } from '../age/files.ts'
import { snap, snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { type Influxd, startInfluxd } from '../helpers/influxd.ts'
import { findInfluxd } from '../helpers/influxd-binary.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { tempDir } from '../helpers/temp.ts'

const SECOND = 1_000_000_000n
const WEEK = 7n * 24n * 3600n * SECOND
/** The first nanosecond of a week of shards, long gone. */
const OLD = 1_700_092_800n * SECOND
const ENCRYPT = ['--encrypt-to', fixture('recipient.txt').toString().trim()]
const DECRYPT = ['--identity', fixturePath('key.txt')]

/** Where sets may be: their place, how they are written and read. */
interface Place {
  readonly target: string
  readonly write: readonly string[]
  readonly read: readonly string[]
}

describeWithS3('a merge, and what is whole of a set', () => {
  if (findInfluxd() === undefined) return it.skip('needs an influxd')
  let server: Influxd
  let places: ReadonlyMap<string, Place>
  let bucket: string

  beforeAll(async () => {
    const ceph = await sharedCeph()
    bucket = await newBucket(s3Client(ceph))
    Object.assign(process.env, s3Environment(ceph))
    const s3 = ['--s3-endpoint', ceph.endpoint]
    places = new Map([
      ['a directory', { target: await tempDir('sealed'), write: ENCRYPT, read: DECRYPT }],
      ['a bucket', { target: `s3://${bucket}/plain`, write: s3, read: s3 }],
      [
        'a bucket, encrypted',
        { target: `s3://${bucket}/sealed`, write: [...s3, ...ENCRYPT], read: [...s3, ...DECRYPT] },
      ],
    ])
    server = await startInfluxd({ indexVersion: 'tsi1' })
    await server.query('CREATE DATABASE telegraf')
    const points = Array.from({ length: 25_000 }, (_, i) => OLD + BigInt(i) * SECOND)
    await server.write(
      points.map((at, i) => `cpu,host=a value=${i} ${at}`),
      { db: 'telegraf' },
    )
    await server.write([`cpu,host=b value=1 ${OLD + WEEK}`], { db: 'telegraf' })
    for (const { target, write } of places.values()) {
      await snapJson(['backup', '--host', server.host, '--db', 'telegraf', ...write, target])
    }
  })

  afterAll(async () => {
    await server?.dispose()
  })

  it.each(['a directory', 'a bucket', 'a bucket, encrypted'])(
    'brings points back from %s',
    async (name) => {
      const { target = '', read = [] } = places.get(name) ?? {}
      const before = await dumpAll(server, { db: 'telegraf', series: false })
      await server.query('DELETE FROM cpu', { db: 'telegraf' })
      const http = ['--host', server.host, '--http', server.httpUrl]
      const words = ['restore', '--merge', ...http, ...read, target]
      expect(await snapJson(words)).toMatchObject({ added: 25_001, equal: 0, conflicting: 0 })
      expect(await dumpAll(server, { db: 'telegraf', series: false })).toEqual(before)
      expect(await snapJson(words)).toMatchObject({ added: 0, equal: 25_001 })
    },
  )

  it.each(['a directory', 'a bucket', 'a bucket, encrypted'])(
    'is had from %s in which an archive is missing',
    async (name) => {
      const { target = '', read = [] } = places.get(name) ?? {}
      await removeArchive(target)
      const words = ['restore', '--host', server.host, '--newdb', 'rest', ...read, target]
      const { code } = await snap(words)
      expect(code).toBe(13)
      await snapExpecting(3, [...words, '--salvage'])
      const [row] = await server.query('SELECT count(value) FROM rest.autogen.cpu')
      expect(row?.values?.[0]?.[1]).toBe(1)
      await server.query('DROP DATABASE rest')
    },
  )

  /** Removes the larger archive of a set. */
  async function removeArchive(target: string): Promise<void> {
    const isArchive = (name: string) => /\.s\d+\.tar\.gz(?:\.age)?$/.test(name)
    if (!target.startsWith('s3://')) {
      const names = (await readdir(target)).filter(isArchive)
      const sizes = await Promise.all(
        names.map(async (each) => (await stat(`${target}/${each}`)).size),
      )
      const largest = names[sizes.indexOf(Math.max(...sizes))] ?? ''
      return await rm(`${target}/${largest}`)
    }
    const s3 = s3Client(await sharedCeph())
    const Prefix = target.slice(`s3://${bucket}/`.length)
    const { Contents = [] } = await s3.listObjectsV2({ Bucket: bucket, Prefix })
    const archives = Contents.filter(({ Key = '' }) => isArchive(Key))
    const [largest] = archives.sort((a, b) => (b.Size ?? 0) - (a.Size ?? 0))
    await s3.deleteObject({ Bucket: bucket, Key: largest?.Key ?? '' })
  }
})
