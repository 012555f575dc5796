import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3 } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addUser, type Ceph } from '../helpers/ceph.ts'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { dumpAll } from '../helpers/dump.ts'
import { type Influxd, startInfluxd, stockRestore } from '../helpers/influxd.ts'
import { findInfluxd } from '../helpers/influxd-binary.ts'
import { loadOddData, PLAIN } from '../helpers/odd-data.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { tempDir } from '../helpers/temp.ts'

const KEYS = { accessKeyId: 'commandskey', secretAccessKey: 'commandssecret' }

describeWithS3('the commands on a bucket', () => {
  if (findInfluxd() === undefined) return it.skip('needs an influxd')
  let ceph: Ceph
  let s3: S3
  let place: string
  let flags: string[]
  let source: Influxd
  let target: Influxd
  let dump: string[]

  beforeAll(async () => {
    ceph = await sharedCeph()
    s3 = s3Client(ceph)
    place = `s3://${await newBucket(s3)}/influx/db1`
    flags = ['--s3-endpoint', ceph.endpoint]
    Object.assign(process.env, s3Environment(ceph))
    source = await startInfluxd()
    target = await startInfluxd()
    await loadOddData(source)
    dump = await dumpAll(source)
    await snapExpecting(0, ['backup', '--host', source.host, ...flags, place])
  })
  afterAll(async () => {
    await source?.dispose()
    await target?.dispose()
  })

  it('list, verify and drill what a backup stored', async () => {
    const { sets } = await snapJson(['list', ...flags, place])
    expect(sets).toMatchObject([{ kind: 'snap' }])
    await snapExpecting(0, ['verify', '--deep', ...flags, place])
    await snapExpecting(0, ['drill', ...flags, place])
  })

  it('restore every point, also by the program of influxd from a copy of the bucket', async () => {
    await snapExpecting(0, ['restore', '--host', target.host, ...flags, place])
    expect(await dumpAll(target)).toEqual(dump)
    const copy = await tempDir('copy')
    const [, bucket = ''] = /^s3:\/\/([^/]+)/.exec(place) ?? []
    const { Contents = [] } = await s3.listObjectsV2({ Bucket: bucket })
    for (const { Key = '' } of Contents) {
      const { Body } = await s3.getObject({ Bucket: bucket, Key })
      const bytes = await Body?.transformToByteArray()
      await writeFile(join(copy, Key.split('/').at(-1) ?? ''), bytes ?? '')
    }
    const stock = ['-portable', '-host', target.host, '-db', PLAIN, '-newdb', 'stock', copy]
    expect((await stockRestore(stock)).code).toBe(0)
    await target.settled()
    const expected = await dumpAll(source, { db: PLAIN, dbAs: 'stock' })
    expect(await dumpAll(target, { db: 'stock' })).toEqual(expected)
  })

  it('export from a bucket, into one, and points into an object', async () => {
    const from = ['export', '--from', place, '--db', PLAIN, ...flags]
    await snapExpecting(0, [...from, `${place}-exported`])
    const to = ['--host', target.host, '--db', PLAIN, '--newdb', 'exported']
    await snapExpecting(0, ['restore', ...to, ...flags, `${place}-exported`])
    const expected = await dumpAll(source, { db: PLAIN, dbAs: 'exported' })
    expect(await dumpAll(target, { db: 'exported' })).toEqual(expected)
    await snapExpecting(0, [...from, '--format', 'lp', `${place}/points.lp.gz`])
    await snapExpecting(17, [...from, '--format', 'lp', `${place}/points.lp.gz`])
    await snapExpecting(0, ['update-meta', ...to.slice(0, -1), 'only_meta', ...flags, place])
  })

  it('back up with a key that may not delete, and say what stays', async () => {
    await addUser(ceph, 'commands', KEYS)
    const bucket = await newBucket(s3)
    const Statement = {
      ...{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam:::user/commands' } },
      Action: ['s3:ListBucket', 's3:GetObject', 's3:PutObject'],
      Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [Statement] })
    await s3.putBucketPolicy({ Bucket: bucket, Policy })
    const added = `s3://${bucket}`
    const backup = ['backup', '--host', source.host, '--db', PLAIN, ...flags, added]
    Object.assign(process.env, s3Environment(ceph, KEYS))
    try {
      expect((await snapJson(backup))['undeleted']).toBeGreaterThan(2)
      const { stdout } = await snapExpecting(0, backup)
      expect(stdout).toMatch(/\n {2}\d+ unfinished objects stay: this key may not delete them$/m)
      const verified = await snapJson(['verify', ...flags, added])
      expect(verified).toMatchObject({ problems: [], unfinished: [] })
    } finally {
      Object.assign(process.env, s3Environment(ceph))
    }
  })

  it('lock a set, and refuse a bucket that takes no locks with 15', async () => {
    const locked = await newBucket(s3, { objectLock: true })
    const words = ['--db', PLAIN, '--object-lock-days', '1', ...flags]
    const backup = ['backup', '--host', source.host, ...words]
    await snapExpecting(0, [...backup, `s3://${locked}/a`])
    await snapExpecting(15, [...backup, place])
    await snapExpecting(2, [...backup, await tempDir('local')])
    const { Versions = [] } = await s3.listObjectVersions({ Bucket: locked })
    const sets = Versions.filter(({ Key = '' }) => /\d{8}T\d{6}Z\./.test(Key))
    expect(sets.length).toBeGreaterThan(4)
    for (const { Key, VersionId } of sets) {
      const deleted = s3.deleteObject({ Bucket: locked, Key, VersionId })
      await expect(deleted, Key).rejects.toMatchObject({ name: 'AccessDenied' })
    }
  })

  it('name the bucket and say what to do about a bucket that is not there', async () => {
    const nowhere = 's3://no-such-bucket/a'
    await snapExpecting(14, ['list', ...flags, nowhere])
    await snapExpecting(14, ['restore', '--host', target.host, ...flags, nowhere])
    const { stderr } = await snapExpecting(15, ['backup', '--host', source.host, ...flags, nowhere])
    expect(stderr).toMatch(/^error: s3:\/\/no-such-bucket: there is no such bucket/m)
    expect(stderr).toMatch(/^hint: make the bucket first/m)
  })
})
