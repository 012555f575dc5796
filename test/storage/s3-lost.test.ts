import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { S3Store } from '../../src/storage/index.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { type Fate, type S3Proxy, startLossy } from '../helpers/s3-proxy.ts'

const MIB = 1024 ** 2
const PART = 5 * MIB

type Request = Pick<IncomingMessage, 'method' | 'url' | 'headers'>

describeWithS3('a store whose answers are lost', () => {
  let proxy: S3Proxy
  let store: S3Store
  let fates: { readonly is: (request: Request) => boolean; fate: Fate; times: number }[] = []

  beforeEach(async () => {
    const ceph = await sharedCeph()
    Object.assign(process.env, s3Environment(ceph))
    const bucket = await newBucket(s3Client(ceph))
    fates = []
    proxy = await startLossy(ceph.endpoint, (request) => {
      const found = fates.find(({ is, times }) => times > 0 && is(request))
      if (found === undefined) return undefined
      found.times -= 1
      return found.fate
    })
    store = new S3Store(`s3://${bucket}/a`, { endpoint: proxy.url, partSize: PART })
  })
  afterEach(async () => {
    await proxy.close()
  })

  const lose = (is: (request: Request) => boolean, fate: Fate = 'lost', times = 1) =>
    fates.push({ is, fate, times })
  const isLost = () => fates.every(({ times }) => times === 0)

  async function* body(size: number): AsyncGenerator<Uint8Array> {
    yield randomBytes(size)
  }

  it('makes an object once, and knows that it did', async () => {
    expect(await store.createsOnce()).toBe(true)
    lose(({ method, headers }) => method === 'PUT' && headers['if-none-match'] === '*')
    expect(await store.create('a', 'mine')).toBe(true)
    expect(isLost()).toBe(true)
    expect(await store.create('a', 'other')).toBe(false)
  })

  it.each([1000, PART + MIB])('stores and publishes %i bytes', async (size) => {
    lose(({ method, url }) => method === 'POST' && url?.includes('uploadId=') === true, 'lost', 1)
    lose(({ method, headers }) => method === 'PUT' && headers['x-amz-copy-source'] !== undefined)
    if (size < PART) fates.shift()
    const staged = await store.stage('a', body(size))
    await staged.publish()
    expect(isLost()).toBe(true)
    expect(await store.stat('a')).toMatchObject({ size })
    expect(await store.stat('a.pending')).toBeUndefined()
  })

  it('ends a copy in parts whose last answer is lost', async () => {
    const staged = await store.stage('a', body(PART + MIB))
    lose(({ method, url }) => method === 'POST' && url?.includes('uploadId=') === true)
    await staged.publish()
    expect(isLost()).toBe(true)
    expect(await store.stat('a')).toMatchObject({ size: PART + MIB })
  })

  it('never publishes over what somebody else made meanwhile', async () => {
    const staged = await store.stage('a', body(10))
    await store.write('a', 'theirs')
    await expect(staged.publish()).rejects.toMatchObject({ code: 'E_TARGET_EXISTS' })
    await staged.discard()
    expect(await store.stat('a')).toMatchObject({ size: 6 })
  })

  it('waits while it is busy, and not for ever', async () => {
    lose(() => true, 'busy')
    expect(await store.stat('a')).toBeUndefined()
    lose(({ method }) => method === 'PUT', 'busy', 4)
    await expect(store.write('a', 'x')).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringContaining('busy (SlowDown 503)'),
      hint: expect.stringContaining('--jobs'),
    })
    lose(({ method }) => method === 'DELETE')
    await store.write('b', 'x')
    await store.delete('b')
    expect(isLost()).toBe(true)
    expect(await store.stat('b')).toBeUndefined()
  })
})
