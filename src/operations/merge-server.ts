import { type HttpClient, LineWriter } from '../client/index.ts'
import type { FieldPoints, PolicyName } from '../formats/points.ts'
import type { Data } from '../meta/index.ts'
import { atDestination } from './at-destination.ts'
import { ExportTally, type LeftOutPoints, measurementName } from './export-tally.ts'
import type { ShardName } from './inspect.ts'
import { checkContested } from './merge-contested.ts'
import { hasFreeGeneration } from './merge-generation.ts'
import { each, isWanted, type MergePoint } from './merge-look.ts'
import { blocksOf, type LiveShard, type MergeTarget, type MergeWork } from './merge-target.ts'
import { uploadPoints } from './merge-upload.ts'
import { isCold } from './merge-windows.ts'
import { shardName } from './plan-shards.ts'
import type { Progress } from './progress.ts'
import { openLive } from './readback.ts'
import { sendPoints } from './send-points.ts'
import type { OpenServer } from './server.ts'
import type { HttpPlace } from './server-http.ts'
import type { ShardFiles } from './shard-source.ts'
import type { Throttle } from './throttle.ts'
import { endpointOf } from './write-endpoint.ts'

/** How points get into a live server. */
export interface MergeServerOptions {
  readonly server: OpenServer
  readonly http: HttpClient
  readonly httpCredentials: Pick<HttpPlace, 'user' | 'password'>
  /** Upload into shards that still take writes too: their writers wait meanwhile, and some are refused. */
  readonly allowWritePause: boolean
  /** Upload however few points there are. */
  readonly byFile?: boolean | undefined
  readonly tempDir: string
  /** Requests under way at the same time. */
  readonly jobs: number
  /** Times a transfer is tried in all. */
  readonly attempts: number
  readonly throttle: Throttle
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** Values from which on files are uploaded: fewer are written sooner than a shard is closed and opened. */
const MIN_UPLOAD = 20_000
/**
 * A live server. One genuine point of each field of each measurement goes over HTTP before everything else: it shows whether
 * types fit, and makes indexes of tsi1 know what is uploaded.
 */
export class MergeServer implements MergeTarget {
  readonly name: string
  readonly asLines = true
  readonly #options: MergeServerOptions
  readonly #tally = new ExportTally()

  constructor(options: MergeServerOptions) {
    this.#options = options
    this.name = options.server.name
  }

  async metastore(): Promise<Data> {
    const { server, signal } = this.#options
    return await atDestination(() => server.client.metastoreBackup(signal))
  }

  async openLive(shard: ShardName): Promise<LiveShard> {
    const live = await openLive(shard, this.#options)
    const { http } = this.#options
    return {
      ...{ ...live, isUnfinished: false },
      write: (work) => this.#write(live, work),
      check: (piece, options) => checkContested(piece, live, { ...options, http }),
    }
  }

  /** The first point that is written makes the group. */
  async makeGroup(point: MergePoint, into: PolicyName): Promise<number> {
    await this.#send(each([point]), into)
    return 1
  }

  unwritten(): readonly LeftOutPoints[] {
    return this.#tally.leftOut()
  }

  async #write(live: ShardFiles, work: MergeWork): Promise<number> {
    const { piece, look } = work
    // What cannot be said is told of when all points are written.
    await sendPoints(each(look.touches), { ...this.#options, writer: this.#writer(piece.live) })
    const { allowWritePause, byFile = false } = this.#options
    const mayUpload =
      (isCold(piece.live.group) || allowWritePause) && hasFreeGeneration(live.files.keys())
    if (mayUpload && (byFile || look.counts.added >= MIN_UPLOAD))
      return await this.#upload(live, work)
    const points = work.points((part) => isWanted(part, work.options))
    return await this.#send(points, piece.live, work.onBytes)
  }

  /**
   * Files hold only points that live lacks: those are right in whatever order the server takes its files. What shall win over a
   * live point goes over HTTP.
   */
  async #upload(live: ShardFiles, { piece, points, options, onBytes }: MergeWork): Promise<number> {
    const added = blocksOf(points(({ kind }) => kind === 'added'))
    const uploaded = await uploadPoints(added, {
      ...{ ...this.#options, onBytes },
      ...{ shard: shardName(piece.live), fileNames: live.files.keys() },
    })
    if (options.onConflict !== 'backup') return uploaded
    const winning = points(({ kind }) => kind === 'conflicting')
    return uploaded + (await this.#send(winning, piece.live, onBytes))
  }

  async #send(
    points: AsyncIterable<FieldPoints>,
    into: PolicyName,
    onBytes?: (bytes: number) => void,
  ): Promise<number> {
    return await sendPoints(points, {
      ...{ ...this.#options, writer: this.#writer(into), onBytes },
      onLeftOut: ({ key, reason, points: left }) =>
        this.#tally.leaveOut(
          measurementName(into, key),
          reason,
          left === undefined ? { keys: 1 } : { points: left },
        ),
    })
  }

  #writer({ database, retentionPolicy }: PolicyName): LineWriter {
    const { http, httpCredentials } = this.#options
    const place = { ...httpCredentials, url: new URL(http.url) }
    return new LineWriter(endpointOf(place, { database, retentionPolicy }))
  }
}
