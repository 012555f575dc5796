import { createHash, randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { S3 } from '@aws-sdk/client-s3'
import { beforeAll, expect, it } from 'vitest'
import { type S3Options, S3Store, type Store } from '../../src/storage/index.ts'
import { addUser, type Ceph } from '../helpers/ceph.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { startForgetful } from '../helpers/s3-proxy.ts'

const MIB = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

async function* bytes(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

async function put(store: Store, name: string, ...chunks: readonly Uint8Array[]): Promise<void> {
  await (await store.stage(name, bytes(...chunks))).publish()
}

async function contents(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function names(store: Store): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list()) found.push(name)
  return found.sort()
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

describeWithS3('a store in a bucket', () => {
  let ceph: Ceph
  let s3: S3
  let bucket: string
  let places = 0

  beforeAll(async () => {
    ceph = await sharedCeph()
    s3 = s3Client(ceph)
    bucket = await newBucket(s3)
    Object.assign(process.env, s3Environment(ceph))
  })

  function open(options: S3Options & { readonly inBucket?: string } = {}): S3Store {
    places += 1
    const { inBucket = bucket, ...rest } = options
    return new S3Store(`s3://${inBucket}/${places}`, { endpoint: ceph.endpoint, ...rest })
  }

  async function versionsIn(Bucket: string): Promise<string[]> {
    const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions({ Bucket })
    return [...Versions, ...DeleteMarkers].map(({ Key = '' }) => Key)
  }

  it('streams large bodies in bounded memory, and no faster than they go', async () => {
    const store = open()
    let peak = 0
    async function* body(seed: number): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 40; i += 1) {
        // What is left once garbage is gone: when that is, differs from Node to Node.
        if (i % 5 === 4) {
          collectGarbage()
          peak = Math.max(peak, process.memoryUsage().arrayBuffers)
        }
        yield Buffer.alloc(MIB, seed + i)
      }
    }
    async function hashOf(body: AsyncIterable<Uint8Array>): Promise<string> {
      const hash = createHash('sha256')
      for await (const chunk of body) hash.update(chunk)
      return hash.digest('hex')
    }
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    const names = ['a', 'b', 'c', 'd']
    const staged = await Promise.all(names.map((name, seed) => store.stage(name, body(seed))))
    // Four parts, and a chunk of each body.
    expect(peak - before).toBeLessThan(50 * MIB)
    for (const file of staged) await file.publish()
    for (const [seed, name] of names.entries()) {
      expect(await hashOf(store.read(name))).toBe(await hashOf(body(seed)))
      await store.delete(name)
    }
  })

  it('copies in parts what is too large for one request', async () => {
    const store = open({ partSize: 5 * MIB })
    const big = randomBytes(13 * MIB + 1)
    await put(store, 'ünï ?', big)
    expect(sha256(await contents(store.read('ünï ?')))).toBe(sha256(big))
    const staged = await store.stage('ünï ?', bytes(big))
    await expect(staged.publish()).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
    await staged.discard()
    expect(await names(store)).toEqual(['ünï ?'])
    expect((await s3.listMultipartUploads({ Bucket: bucket })).Uploads ?? []).toEqual([])
  })

  it('lists page by page, and neither what is deeper nor the mark of a folder', async () => {
    const store = open()
    const wanted = Array.from({ length: 1003 }, (_, i) => `n${i}`)
    const place = store.url.slice(`s3://${bucket}/`.length)
    const keys = [...wanted, '', 'deeper/x'].map((name) => `${place}/${name}`)
    for (let at = 0; at < keys.length; at += 50) {
      const some = keys.slice(at, at + 50)
      await Promise.all(some.map((Key) => s3.putObject({ Bucket: bucket, Key, Body: 'x' })))
    }
    expect(await names(store)).toEqual(wanted.sort())
    const some: string[] = []
    for await (const { name } of store.list(undefined, 'n100')) some.push(name)
    expect(some.sort()).toEqual(['n100', 'n1000', 'n1001', 'n1002'])
  })

  it('goes on where a connection was cut while it was read', async () => {
    const store = open()
    const big = randomBytes(3 * MIB)
    await put(store, 'big', big)
    const cut = { toClient: { cut: { after: MIB, how: 'rst' } } } as const
    const proxy = await startFaultProxy(new URL(ceph.endpoint).host, [cut, cut])
    const path = store.url
    const far = new S3Store(path, { endpoint: `http://${proxy.host}` })
    expect(sha256(await contents(far.read('big')))).toBe(sha256(big))
    expect(sha256(await contents(far.read('big', { start: 7, end: 3 * MIB })))).toBe(
      sha256(big.subarray(7)),
    )
    expect(proxy.connections.length).toBeGreaterThan(2)
    await proxy.close()
  })

  it('says so when an object is replaced while it is read', async () => {
    const store = open()
    await put(store, 'big', randomBytes(3 * MIB))
    const cut = { toClient: { cut: { after: MIB, how: 'rst' } } } as const
    const proxy = await startFaultProxy(new URL(ceph.endpoint).host, [cut])
    const reading = new S3Store(store.url, { endpoint: `http://${proxy.host}` }).read('big')
    const replace = async () => {
      for await (const _ of reading) await store.write('big', 'other')
    }
    await expect(replace()).rejects.toMatchObject({ code: 'E_INTEGRITY' })
    await proxy.close()
  })

  it('makes a small object once for two stores that race', async () => {
    const one = open()
    const two = new S3Store(one.url, { endpoint: ceph.endpoint })
    const made = await Promise.all([one.create('a', '1'), two.create('a', '2')])
    expect(made.filter(Boolean)).toHaveLength(1)
    expect(await one.createsOnce()).toBe(true)
    expect(await names(one)).toEqual(['a'])
  })

  it('does what it can where a store forgets the condition of a write', async () => {
    const open = await newBucket(s3)
    const everyone = { Effect: 'Allow', Principal: '*', Action: 's3:*' }
    const Resource = [`arn:aws:s3:::${open}`, `arn:aws:s3:::${open}/*`]
    const policy = { Version: '2012-10-17', Statement: [{ ...everyone, Resource }] }
    await s3.putBucketPolicy({ Bucket: open, Policy: JSON.stringify(policy) })
    const proxy = await startForgetful(ceph.endpoint)
    const store = new S3Store(`s3://${open}/a`, { endpoint: proxy.url })
    expect(await store.createsOnce()).toBe(false)
    const made = await Promise.all(Array.from({ length: 5 }, (_, i) => store.create('a', `${i}`)))
    expect(made.filter(Boolean)).toHaveLength(1)
    expect(`${await contents(store.read('a'))}`).toBe(`${made.indexOf(true)}`)
    expect(await store.create('a', 'late')).toBe(false)
    expect(await names(store)).toEqual(['a'])
    await proxy.close()
  })

  it('deletes every version where a bucket keeps them', async () => {
    const kept = await newBucket(s3)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await s3.putBucketVersioning({ Bucket: kept, VersioningConfiguration })
    const store = open({ inBucket: kept })
    await store.reserve('a', 'text')
    await put(store, 'a', Buffer.from('x'))
    await store.write('b', '1')
    await store.write('b', '2')
    expect(await names(store)).toEqual(['a', 'b'])
    await store.delete('b')
    await store.delete('b')
    await store.delete('a')
    expect(await versionsIn(kept)).toEqual([])
  })

  it.each([undefined, 5 * MIB])(
    'locks what it publishes, copied in parts of %s',
    async (partSize) => {
      const locked = await newBucket(s3, { objectLock: true })
      const store = open({ inBucket: locked, lockDays: 2, partSize })
      await store.reserve('a', 'text')
      await put(store, 'a', randomBytes(6 * MIB))
      const days = ((await store.stat('a'))?.lockedUntil?.getTime() ?? 0) - Date.now()
      expect(days / 86_400_000).toBeCloseTo(2, 1)
      await expect(store.delete('a')).rejects.toMatchObject({
        code: 'E_DESTINATION',
        message: expect.stringContaining('is locked until'),
      })
      expect(await names(store)).toEqual(['a'])
      expect(new Set(await versionsIn(locked)).size).toBe(1)
    },
  )

  it('locks what is shared for longer, never for less', async () => {
    const locked = await newBucket(s3, { objectLock: true })
    const at = (lockDays?: number) =>
      new S3Store(`s3://${locked}/a`, { endpoint: ceph.endpoint, lockDays })
    const daysOf = async (store: S3Store) =>
      Math.round(
        (((await store.stat('a'))?.lockedUntil?.getTime() ?? Date.now()) - Date.now()) / 86_400_000,
      )
    await put(at(), 'a', Buffer.from('x'))
    const days: number[] = []
    for (const lockDays of [undefined, 2, 5, 1]) {
      await at(lockDays).retain('a')
      days.push(await daysOf(at()))
    }
    expect(days).toEqual([0, 2, 5, 5])
    expect(new Set(await versionsIn(locked)).size).toBe(1)
    await expect(at(1).retain('b')).rejects.toMatchObject({ code: 'E_DESTINATION' })
  })

  it('says before the first byte that a bucket takes no locks', async () => {
    const store = open({ lockDays: 1 })
    await expect(store.stage('a', bytes())).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('without object lock'),
    })
  })

  it('makes do with a key that may not delete', async () => {
    const adder = { accessKeyId: 'adderkey', secretAccessKey: 'addersecret' }
    await addUser(ceph, 'adder', adder)
    const shared = await newBucket(s3)
    const Statement = [
      {
        ...{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam:::user/adder' } },
        Action: ['s3:ListBucket', 's3:GetObject', 's3:PutObject'],
        Resource: [`arn:aws:s3:::${shared}`, `arn:aws:s3:::${shared}/*`],
      },
    ]
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
    await s3.putBucketPolicy({ Bucket: shared, Policy })
    try {
      Object.assign(process.env, s3Environment(ceph, adder))
      const store = open({ inBucket: shared })
      await put(store, 'a', Buffer.from('x'))
      await put(store, 'b', Buffer.from('y'))
      expect(store.undeleted).toBe(2)
      expect(await names(store)).toEqual(['a', 'a.pending', 'b', 'b.pending'])
      const uploads: unknown[] = []
      for await (const upload of store.uploads()) uploads.push(upload)
      expect(uploads).toEqual([])
      const denied = { code: 'E_DESTINATION', message: expect.stringContaining('access denied') }
      await expect(store.delete('a')).rejects.toMatchObject(denied)
    } finally {
      Object.assign(process.env, s3Environment(ceph))
    }
  })
})
