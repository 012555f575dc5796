import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { addUser, type Ceph, type Keys } from '../../helpers/ceph.ts'
import { makeDirectory } from '../../helpers/data-directory.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../../helpers/s3.ts'
import { ROOT } from '../../helpers/sources.ts'
import { expectCode } from './snap.ts'
import { restored } from './targets.ts'

const BACKUP_KEY: Keys = { accessKeyId: 'backupkey', secretAccessKey: 'backupsecret' }
const DAY_MS = 24 * 60 * 60 * 1000

/** The policy that docs/s3.md gives for a key that backs up and may not delete, for a bucket and a user. */
function documentedPolicy(bucket: string, user: string): string {
  const page = readFileSync(join(ROOT, 'docs/s3.md'), 'utf8')
  const blocks = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, text = '']) => text)
  const found = blocks.find((text) => text.includes('s3:PutObject"')) ?? ''
  const policy: { Statement: object[] } = JSON.parse(found.replaceAll(':::backups', `:::${bucket}`))
  const Principal = { AWS: [`arn:aws:iam:::user/${user}`] }
  return JSON.stringify({
    ...policy,
    Statement: policy.Statement.map((each) => ({ ...each, Principal })),
  })
}

describeWithS3('sets in a bucket', () => {
  const environment = { ...process.env }
  let ceph: Ceph
  beforeEach(async () => {
    ceph = await sharedCeph()
    Object.assign(process.env, s3Environment(ceph))
  })
  afterEach(() => {
    for (const name of Object.keys(s3Environment(ceph))) delete process.env[name]
    Object.assign(process.env, environment)
  })

  const S3 = () => ['--s3-endpoint', ceph.endpoint]
  const namesIn = async (Bucket: string) => {
    const { Contents = [] } = await s3Client(ceph).listObjectsV2({ Bucket })
    return Contents.map(({ Key = '' }) => Key)
  }

  it('are made with a key that may not delete, night after night', async () => {
    const bucket = await newBucket(s3Client(ceph))
    await addUser(ceph, 'backup', BACKUP_KEY)
    const Policy = documentedPolicy(bucket, 'backup')
    await s3Client(ceph).putBucketPolicy({ Bucket: bucket, Policy })
    Object.assign(process.env, s3Environment(ceph, BACKUP_KEY))
    const target = `s3://${bucket}/db1`
    const { flags } = await makeDirectory()
    for (const _ of ['first', 'second']) {
      const made = await expectCode(0, 'backup', ...flags, ...S3(), '--incremental', target)
      expect(made.document.undeleted ?? 0).toBe(0)
    }
    await expectCode(0, 'verify', ...S3(), target)
    const { error } = await expectCode(
      15,
      ...['prune', '--keep-last', '1', '--confirm'],
      ...S3(),
      target,
    )
    expect(error?.message).toContain('access denied')
    await expectCode(0, 'verify', ...S3(), target)
    const left = (await namesIn(bucket)).filter((name) => /\.(lock|pending)$/.test(name))
    expect(left).toEqual(['db1/prune.pending'])
  })

  it('are locked with the archives of older sets that they share', async () => {
    const bucket = await newBucket(s3Client(ceph), { objectLock: true })
    const target = `s3://${bucket}/db1`
    const { flags } = await makeDirectory()
    const backup = ['backup', ...flags, ...S3(), '--incremental', '--object-lock-days']
    const { document: first } = await expectCode(0, ...backup, '1', target)
    const { document: second } = await expectCode(0, ...backup, '3', target)
    expect(second.parent).toBe(first.set)
    const days = new Map<string, number>()
    for (const Key of await namesIn(bucket)) {
      const { ObjectLockRetainUntilDate } = await s3Client(ceph).headObject({ Bucket: bucket, Key })
      const time = (ObjectLockRetainUntilDate?.getTime() ?? 0) - Date.now()
      days.set(Key, Math.round(time / DAY_MS))
    }
    expect(days.get(`db1/${first.set}.manifest`)).toBe(1)
    expect(days.get(`db1/${second.set}.manifest`)).toBe(3)
    expect([...days].filter(([name]) => name.includes('.s1.')).map(([, each]) => each)).toEqual([
      3, 3,
    ])
    const { document } = await expectCode(
      0,
      ...['prune', '--keep-last', '1', '--confirm'],
      ...S3(),
      target,
    )
    expect(document.sets.map(({ action }: { action: string }) => action)).toEqual(['keep', 'keep'])
  })

  it('are encrypted, copied to a disk and back, and restored from there', async () => {
    const bucket = await newBucket(s3Client(ceph))
    const { flags } = await makeDirectory()
    const key = ['--identity', join(ROOT, 'test/fixtures/age/key.txt')]
    const recipient = ['--encrypt-to', join(ROOT, 'test/fixtures/age/recipient.txt')]
    const [plain, sealed] = [`s3://${bucket}/plain`, `s3://${bucket}/sealed`]
    await expectCode(0, 'backup', ...flags, ...S3(), plain)
    await expectCode(0, 'copy', ...S3(), ...recipient, plain, sealed)
    const clear = (await namesIn(bucket)).filter((name) => /^sealed.*[^e]$/.test(name))
    expect(clear).toEqual([expect.stringMatching(/\.snap\.json$/)])
    await expectCode(0, 'verify', ...S3(), '--deep', ...key, sealed)
    await expectCode(12, 'verify', ...S3(), '--deep', sealed)
    expect(await restored(sealed, ...S3(), ...key)).toEqual(await restored(plain, ...S3()))
  })
})
