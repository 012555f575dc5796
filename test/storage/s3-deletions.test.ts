import type { IncomingMessage } from 'node:http'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { publishAll } from '../../src/operations/publish-all.ts'
import { S3Store } from '../../src/storage/index.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { type S3Proxy, startLossy } from '../helpers/s3-proxy.ts'

const MIB = 1024 ** 2

async function* body(size: number): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(size, 7)
}

async function names(store: S3Store): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list()) found.push(name)
  return found.sort()
}

describeWithS3('the requests of a store in a bucket', () => {
  let proxy: S3Proxy
  let store: S3Store
  let seen: string[] = []
  let isRefused: (from: IncomingMessage) => boolean

  beforeEach(async () => {
    const ceph = await sharedCeph()
    Object.assign(process.env, s3Environment(ceph))
    const bucket = await newBucket(s3Client(ceph))
    seen = []
    isRefused = () => false
    proxy = await startLossy(ceph.endpoint, (from) => {
      seen.push(`${from.method} ${from.url?.includes('?delete') ? 'many' : 'one'}`)
      return isRefused(from) ? 'unknown' : undefined
    })
    store = new S3Store(`s3://${bucket}/a`, { endpoint: proxy.url })
  })
  afterEach(async () => {
    await proxy.close()
  })

  const times = (request: string) => seen.filter((one) => one === request).length
  const deleteAll = (wanted: readonly string[]) =>
    Promise.all(wanted.map((name) => store.delete(name)))

  const stageAll = (wanted: readonly string[]) =>
    Promise.all(wanted.map((name) => store.stage(name, body(10))))

  it('deletes with one request what is deleted at once', async () => {
    const wanted = Array.from({ length: 20 }, (_, i) => `é ${i}`)
    for (const name of [...wanted, 'z']) await store.write(name, name)
    await store.delete('z')
    expect([times('DELETE one'), times('POST many')]).toEqual([1, 0])
    await deleteAll([...wanted, 'no such'])
    expect([times('DELETE one'), times('POST many')]).toEqual([1, 1])
    expect(await names(store)).toEqual([])
  })

  it('deletes one by one where a store knows no other way, and asks once', async () => {
    isRefused = ({ method, url }) => method === 'POST' && url?.includes('?delete') === true
    for (const name of ['a', 'b', 'c', 'd']) await store.write(name, name)
    await deleteAll(['a', 'b'])
    await deleteAll(['c', 'd'])
    expect([times('DELETE one'), times('POST many')]).toEqual([4, 1])
    expect(await names(store)).toEqual([])
  })

  it('removes with one request what is left of all files of a set, when they have their names', async () => {
    const files = await stageAll(['a', 'b', 'c', 'd', 'e.manifest'])
    await publishAll(store, files)
    expect([times('DELETE one'), times('POST many')]).toEqual([0, 1])
    expect(await names(store)).toEqual(['a', 'b', 'c', 'd', 'e.manifest'])
  })

  it('takes no name back because what is left of a file cannot be removed', async () => {
    const files = await stageAll(['a', 'b', 'c.manifest'])
    isRefused = ({ method, url }) => method === 'DELETE' || url?.includes('?delete') === true
    await expect(publishAll(store, files)).rejects.toMatchObject({ code: 'E_DESTINATION' })
    const all = ['a', 'b', 'c.manifest']
    expect(await names(store)).toEqual([...all, ...all.map((name) => `${name}.pending`)].sort())
    isRefused = () => false
    await Promise.all(files.map((file) => file.discard()))
    expect(await names(store)).toEqual(all)
  })

  it('stops waiting with its signal', async () => {
    const stop = new AbortController()
    const reason = new Error('enough')
    const waits = ['a', 'b'].map((name) =>
      expect(store.delete(name, stop.signal)).rejects.toBe(reason),
    )
    stop.abort(reason)
    await Promise.all(waits)
  })

  it('publishes small objects on a condition, and copies no more than it can keep in mind', async () => {
    const small = await store.stage('small', body(60_000))
    const large = await store.stage('large', body(MIB))
    await store.createsOnce()
    seen = []
    await small.publish()
    expect([times('HEAD one'), times('PUT one')]).toEqual([0, 1])
    await large.publish()
    expect([times('HEAD one'), times('PUT one')]).toEqual([1, 2])
    const many = Array.from({ length: 80 }, (_, i) => `n${i}`)
    const staged = await Promise.all(many.map((name) => store.stage(name, body(60_000))))
    seen = []
    await Promise.all(staged.map((file) => file.publish()))
    // 4 MiB of them are kept.
    expect([times('HEAD one'), times('PUT one')]).toEqual([80 - 69, 80])
    expect(await names(store)).toEqual(['large', 'small', ...many].sort())
    expect(await store.stat('n79')).toMatchObject({ size: 60_000 })
  })
})
