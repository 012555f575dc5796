import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3 } from '@aws-sdk/client-s3'
import { describe, inject, it } from 'vitest'
import { errnoOf } from '../../src/errors.ts'
import { type Ceph, type Keys, OWNER, startCeph } from './ceph.ts'
import { HOW_TO_GET_RADOSGW, hasRadosgw } from './radosgw-binary.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the Ceph of this run is, or will be once a suite needs it. */
    readonly cephFolder: string
  }
}

/**
 * `describe` for suites that need a real S3 server. Without one they are skipped, saying in one line how to get it; with
 * `CI=true` they fail, so that a build cannot be green by leaving them out.
 */
export function describeWithS3(title: string, body: () => void): void {
  if (hasRadosgw()) {
    describe(title, body)
  } else if (process.env.CI === 'true') {
    describe(title, () => {
      it('needs a radosgw', () => {
        throw new Error(`no radosgw: ${HOW_TO_GET_RADOSGW}`)
      })
    })
  } else {
    describe.skip(`${title} (no radosgw: ${HOW_TO_GET_RADOSGW})`, body)
  }
}

/** Returns the Ceph that all suites of a run share; the first that asks starts it. Not to be harmed: see `startCeph`. */
export async function sharedCeph(): Promise<Ceph> {
  const folder = inject('cephFolder')
  const ready = join(folder, 'ready.json')
  try {
    mkdirSync(join(folder, 'ceph'))
    const ceph = await startCeph(join(folder, 'ceph'))
    writeFileSync(ready, JSON.stringify(ceph))
    return ceph
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  for (let tries = 0; tries < 600; tries += 1) {
    try {
      return JSON.parse(readFileSync(ready, 'utf8'))
    } catch {
      await sleep(100)
    }
  }
  throw new Error('the shared Ceph did not start')
}

/** A client for what tests arrange and look at by themselves. */
export function s3Client({ endpoint }: Ceph, keys: Keys = OWNER): S3 {
  const { accessKeyId, secretAccessKey } = keys
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'
  return new S3({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
}

let buckets = 0

/** Makes a bucket of a name that no other test file has. */
export async function newBucket(
  s3: S3,
  { objectLock = false }: { readonly objectLock?: boolean } = {},
): Promise<string> {
  buckets += 1
  const bucket = `test-${process.pid}-${Date.now().toString(36)}-${buckets}`
  await s3.createBucket({ Bucket: bucket, ObjectLockEnabledForBucket: objectLock })
  return bucket
}

/** The variables with which `snap` reaches a Ceph. */
export function s3Environment({ endpoint }: Ceph, keys: Keys = OWNER): Record<string, string> {
  return {
    INFLUX_SNAP_S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_REGION: 'us-east-1',
  }
}
