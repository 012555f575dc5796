import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { S3 } from '@aws-sdk/client-s3'
import { beforeAll, expect, it } from 'vitest'
import { SnapError } from '../../src/errors.ts'
import { thisProcess } from '../../src/io/process-owner.ts'
import { removeLeftovers } from '../../src/operations/leftovers.ts'
import { listSets } from '../../src/portable/index.ts'
import { S3Store, type Store } from '../../src/storage/index.ts'
import { type Ceph, cephPid, OWNER, startCeph, startGateway } from '../helpers/ceph.ts'
import { snap } from '../helpers/cli.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { freePort } from '../helpers/ports.ts'
import { describeWithS3, newBucket, s3Client, s3Environment } from '../helpers/s3.ts'
import { tempDir } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'
import { guardCeph } from '../helpers/warden.ts'

const MIB = 1024 * 1024
const SET = '20240101T000000Z'

async function names(store: Store): Promise<string[]> {
  const found: string[] = []
  for await (const { name } of store.list()) found.push(name)
  return found.sort()
}

/** A body that does something after its first bytes, larger than what is in flight. */
async function* bodyWith(event: () => void | Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(20 * MIB)
  await event()
  for (let i = 0; i < 8; i += 1) yield Buffer.alloc(8 * MIB)
}

describeWithS3('an S3 store that fails', () => {
  let ceph: Ceph
  let s3: S3
  let bucket: string
  let places = 0

  beforeAll(async () => {
    const folder = await tempDir('ceph')
    await mkdir(join(folder, 'ceph'))
    guardCeph(folder)
    ceph = await startCeph(join(folder, 'ceph'))
    s3 = s3Client(ceph)
    bucket = await newBucket(s3)
    Object.assign(process.env, s3Environment(ceph))
  })

  function open(timeout?: number): S3Store {
    places += 1
    return new S3Store(`s3://${bucket}/${places}`, { endpoint: ceph.endpoint, timeout })
  }

  const signalOsd = (signal: NodeJS.Signals) => void process.kill(cephPid(ceph, 'osd'), signal)
  const killGateway = () => void process.kill(cephPid(ceph, 'gateway'), 'SIGKILL')
  const uploads = async () => (await s3.listMultipartUploads({ Bucket: bucket })).Uploads ?? []

  it('says that its gateway died in mid-upload; the next run removes what is left', async () => {
    const store = open()
    await store.reserve(SET, JSON.stringify({ pid: 1 }))
    const staging = store.stage(`${SET}.s1.tar.gz`, bodyWith(killGateway))
    await expect(staging).rejects.toMatchObject({
      code: 'E_DESTINATION',
      message: expect.stringMatching(/refused|lost/),
      hint: expect.stringContaining('--s3-endpoint'),
    })
    await startGateway(ceph)
    expect(await names(store)).toEqual([`${SET}.pending`])
    expect(await uploads()).toHaveLength(1)
    // Written a moment ago by nobody who can be asked: left alone.
    await removeLeftovers(store, await listSets(store))
    expect(await uploads()).toHaveLength(1)
    await store.write(`${SET}.pending`, JSON.stringify({ ...thisProcess(), startTime: '1' }))
    await removeLeftovers(store, await listSets(store))
    expect(await uploads()).toEqual([])
    expect(await names(store)).toEqual([])
  }, 60_000)

  it('backs up with 15 or 0 and nothing between when its gateway dies', async () => {
    const source = await makeDirectory()
    const place = `s3://${bucket}/backup`
    const words = ['backup', '--json', ...source.flags, '--jobs', '1', place]
    const env = s3Environment(ceph)
    const store = new S3Store(place, { endpoint: ceph.endpoint })
    const running = snap(words, { env })
    await until(async () => (await names(store)).some((name) => name.endsWith('.gz.pending')))
    killGateway()
    const { code, stdout } = await running
    await startGateway(ceph)
    expect([code, JSON.parse(stdout).error.code]).toEqual([15, 'E_DESTINATION'])
    expect((await names(store)).some((name) => name.endsWith('.manifest'))).toBe(false)
    expect((await snap(words, { env })).code).toBe(0)
    expect((await snap(['verify', '--deep', place], { env })).code).toBe(0)
  }, 60_000)

  it('waits for an OSD that is frozen, and goes on', async () => {
    const store = open()
    const freeze = () => {
      signalOsd('SIGSTOP')
      setTimeout(() => signalOsd('SIGCONT'), 1_500)
    }
    const staged = await store.stage('a', bodyWith(freeze))
    await staged.publish()
    expect(await store.stat('a')).toMatchObject({ size: 84 * MIB })
    await store.delete('a')
  }, 60_000)

  it('gives up on one that stays frozen, and at once when it is told to', async () => {
    const store = open(300)
    const patient = open()
    signalOsd('SIGSTOP')
    try {
      const stop = new AbortController()
      const stopped = new SnapError('E_INTERRUPTED', 'interrupted')
      setTimeout(() => stop.abort(stopped), 100)
      await Promise.all([
        expect(patient.write('a', 'x', stop.signal)).rejects.toBe(stopped),
        expect(store.write('a', 'x')).rejects.toMatchObject({
          code: 'E_DESTINATION',
          message: expect.stringContaining('no answer in time (TimeoutError)'),
          hint: expect.stringContaining('--s3-timeout'),
        }),
      ])
    } finally {
      signalOsd('SIGCONT')
    }
  }, 60_000)

  const wrong = { AWS_SECRET_ACCESS_KEY: 'wrong' }
  it.each([
    ['an unknown key', { AWS_ACCESS_KEY_ID: 'nobody' }, 'does not know this access key', 'AWS_ACC'],
    ['a wrong secret', wrong, 'the secret key is not that of the access key', 'AWS_SECRET'],
    ['no key', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }, 'no credentials', 'AWS_PROF'],
  ])('names the variables for %s', async (_, env, message, hint) => {
    Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', HOME: await tempDir() }, env)
    try {
      const error = {
        message: expect.stringContaining(message),
        hint: expect.stringContaining(hint),
      }
      const store = open()
      await expect(names(store)).rejects.toMatchObject({ code: 'E_SOURCE', ...error })
      await expect(store.write('a', '')).rejects.toMatchObject({ code: 'E_DESTINATION', ...error })
      const thrown = await store.write('a', '').catch(String)
      expect(thrown).not.toContain(OWNER.secretAccessKey)
    } finally {
      Object.assign(process.env, s3Environment(ceph))
    }
  })

  it('says that a bucket, a host or a server is not there', async () => {
    const none = new S3Store('s3://no-such-bucket/a', { endpoint: ceph.endpoint })
    const missing = {
      message: expect.stringContaining('there is no such bucket (NoSuchBucket 404)'),
    }
    await expect(names(none)).rejects.toMatchObject({ code: 'E_SOURCE', ...missing })
    await expect(none.write('a', '')).rejects.toMatchObject({ code: 'E_DESTINATION', ...missing })
    const nowhere = new S3Store('s3://bucket/a', {
      endpoint: `http://127.0.0.1:${await freePort()}`,
    })
    const refused = { code: 'E_SOURCE', message: expect.stringContaining('connection was refused') }
    await expect(names(nowhere)).rejects.toMatchObject(refused)
    const unknown = new S3Store('s3://bucket/a', { endpoint: 'http://host.invalid' })
    await expect(names(unknown)).rejects.toMatchObject({
      message: expect.stringMatching(/the host (?:is not known|cannot be looked up)/),
    })
  })
})
