import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HeadObjectOutput, S3ClientConfig } from '@aws-sdk/client-s3'
import type { SnapError } from '../errors.ts'
import { isMissing, isTransient, type S3Side, s3CodeOf, s3Error, statusOf } from './s3-errors.ts'
import { RequestHash } from './s3-hash.ts'
import type { S3Location } from './s3-location.ts'
import type { S3, S3CallOptions } from './s3-sdk.ts'

/** Wait before the second, third and fourth try, ms. */
const WAITS_MS = [500, 1_000, 2_000]
const CONNECT_MS = 10_000
/** Silence of the store within a request, ms. */
const TIMEOUT_MS = 60_000
const DEFAULT_REGION = 'us-east-1'

/** How a store is reached. */
export interface S3Access {
  /** URL of the store. Default: what `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or a profile say, else AWS. */
  readonly endpoint?: string | undefined
  /** How long the store may be silent within a request, ms. Default one minute. */
  readonly timeout?: number | undefined
}

/** What a request is for. */
export interface S3Request {
  readonly side: S3Side
  /** The key it is about; empty for the bucket. */
  readonly key: string
  readonly signal?: AbortSignal | undefined
}

/** A bucket and the client that reaches it, which is made when it is first used. */
export class S3Connection {
  readonly bucket: string
  readonly #access: S3Access
  #client: Promise<S3> | undefined
  /** What the store did last: once it has answered, a refused connection is a restart; once it is down, one try is enough. */
  #state: 'new' | 'up' | 'down' = 'new'

  constructor({ bucket }: S3Location, access: S3Access) {
    this.bucket = bucket
    this.#access = access
  }

  /**
   * Sends one request, at most four times, and returns its answer; the wait ends at once with `signal`.
   * @throws SnapError `E_SOURCE` or `E_DESTINATION`, by the side of the request
   */
  async call<T>(
    { side, key, signal }: S3Request,
    send: (client: S3, options: S3CallOptions) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    if (signal !== undefined) setMaxListeners(0, signal)
    const client = await this.#open()
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = send(client, signal === undefined ? {} : { abortSignal: signal })
        const value = await orAborted(answer, signal)
        this.#state = 'up'
        return value
      } catch (error) {
        signal?.throwIfAborted()
        const wait = this.#isWorthATry(error) ? WAITS_MS[attempt] : undefined
        if (wait === undefined) throw this.#failed(error, side, key)
        await sleep(wait, undefined, signal && { signal }).catch(() => signal?.throwIfAborted())
      }
    }
  }

  /** Describes an object; undefined if there is none. Throws as {@link S3Connection.call}. */
  async head(
    key: string,
    { side, signal }: Omit<S3Request, 'key'>,
  ): Promise<HeadObjectOutput | undefined> {
    const object = { Bucket: this.bucket, Key: key }
    try {
      return await this.call({ side, key, signal }, (s3, options) => s3.headObject(object, options))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  #failed(error: unknown, side: S3Side, key: string): SnapError {
    if (statusOf(error) === undefined) this.#state = 'down'
    const place = s3CodeOf(error) === 'NoSuchBucket' ? '' : `/${key}`
    return s3Error(error, side, `s3://${this.bucket}${place}`.replace(/\/$/, ''))
  }

  #isWorthATry(error: unknown): boolean {
    if (this.#state === 'down') return false
    return isTransient(error) || (this.#state === 'up' && s3CodeOf(error) === 'ECONNREFUSED')
  }

  #open(): Promise<S3> {
    this.#client ??= openClient(this.#access)
    return this.#client
  }
}

async function openClient({ endpoint, timeout }: S3Access): Promise<S3> {
  const { env } = process
  // Which Node there is, is not for a backup to say every night on stderr.
  env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  const { S3 } = await import('./s3-sdk.ts')
  const url = endpoint ?? (env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'])
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION']
  const config: S3ClientConfig = {
    ...(url ? { endpoint: url, forcePathStyle: true } : { followRegionRedirects: true }),
    ...(region && { region }),
    // By default a stream goes out with a trailer that older stores refuse, or store as data.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Asked before each part it costs a round trip, and saves one part where a store refuses.
    expectContinueHeader: false,
    sha256: RequestHash,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: timeout ?? TIMEOUT_MS },
  }
  const client = new S3(config)
  try {
    await client.config.region()
    return client
  } catch {
    // Stores other than AWS have no regions; AWS says which one it is.
    return new S3({ ...config, region: DEFAULT_REGION })
  }
}

/** Waits for `wait`, or for `signal`: what is waited for may go on. */
export async function orAborted<T>(wait: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await wait
  wait.catch(() => {})
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
  })
  try {
    signal.throwIfAborted()
    return await Promise.race([wait, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
