import { beforeAll } from 'vitest'
import { S3Store } from '../../src/storage/index.ts'
import type { Ceph } from '../helpers/ceph.ts'
import { describeWithS3, newBucket, s3Client, s3Environment, sharedCeph } from '../helpers/s3.ts'
import { storeConformance } from './conformance.ts'

describeWithS3('on Ceph', () => {
  let ceph: Ceph
  let bucket: string
  let places = 0

  beforeAll(async () => {
    ceph = await sharedCeph()
    bucket = await newBucket(s3Client(ceph))
    Object.assign(process.env, s3Environment(ceph))
  })

  storeConformance('S3Store', async () => {
    places += 1
    return new S3Store(`s3://${bucket}/a/${places}`, { endpoint: ceph.endpoint })
  })
})
