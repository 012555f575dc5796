import type { WriteFiles } from '../datadir/index.ts'
import { SnapError } from '../errors.ts'
import type { FieldPoints } from '../formats/points.ts'
import type { RandomAccess } from '../io/random-access.ts'
import { addShardGroup } from '../meta/index.ts'
import { TsmSetWriter, type TsmTarget } from '../tsm/set-writer.ts'
import { SpooledSet } from '../tsm/spooled-set.ts'
import { targetMetastore } from './at-destination.ts'
import { describeShard, type ShardName } from './inspect.ts'
import { highestGeneration, nextGeneration } from './merge-generation.ts'
import { each, isWanted, liveSource } from './merge-look.ts'
import { blocksOf, type LiveShard, type MergeTarget, type MergeWork } from './merge-target.ts'
import type { Progress } from './progress.ts'
import { readPoints } from './read-points.ts'
import type { WritableDirectory } from './served-directory.ts'
import type { OpenServer } from './server.ts'
import type { Throttle } from './throttle.ts'

/** How points get into the directories of a stopped server. */
export interface MergeDirectoryOptions {
  readonly server: OpenServer
  readonly directory: WritableDirectory
  readonly tempDir: string
  readonly throttle: Throttle
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * The directories of a stopped server. What a shard lacks is added as files of their own: those are right beside whatever files
 * and WAL it has. Where a point of the backup is to win over a live one, all files of the shard, its WAL too, are replaced by
 * files in which every point is there once: influxd does not always take the newest of several files that overlap.
 */
export function mergeDirectory(options: MergeDirectoryOptions): MergeTarget {
  const { server, directory, progress, signal } = options
  const said = new Set<string>()
  const warn = (message: string) => {
    if (!said.has(message)) progress({ type: 'note', level: 'warning', message })
    said.add(message)
  }
  return {
    name: server.name,
    asLines: false,
    metastore: async () => await targetMetastore(() => server.client.metastoreBackup(signal)),
    openLive: async (shard) => {
      const opened = await openShard(shard, options)
      for (const message of opened.lost) warn(`shard ${describeShard(shard)}: ${message}`)
      return opened
    },
    makeGroup: async ({ time }, into) => {
      await directory.changeMetadata((data) => void addShardGroup(data, into, time))
      return 0
    },
    unwritten: () => [],
  }
}

/** A shard that was opened, and how it was then. */
interface Opened {
  readonly shard: ShardName
  readonly files: ReadonlyMap<string, RandomAccess>
  /** What of its WAL cannot be read. */
  readonly lost: readonly string[]
  /** The highest of all its TSM and tombstone files, and of what its WAL became. */
  readonly generation: number
  readonly state: string
  /** True if an earlier run was killed while it replaced the files. */
  readonly isHalfReplaced: boolean
}

/** Opens a shard; one that only the metastore has is empty. */
async function openShard(
  shard: ShardName,
  options: MergeDirectoryOptions,
): Promise<LiveShard & Pick<Opened, 'lost'>> {
  const { directory, server, signal } = options
  const standing = await directory.standing(shard.shardId)
  const live = standing && (await server.openShard?.(shard.shardId, signal))
  const { files = new Map<string, RandomAccess>(), lost = [] } = live ?? {}
  const generation = highestGeneration([...(standing?.names ?? []), ...files.keys()])
  const { state = '', left } = standing ?? {}
  const isHalfReplaced = left === 'replacing'
  const opened = { shard, files, lost, generation, state, isHalfReplaced }
  return {
    ...{ files, lost, isUnfinished: left !== undefined },
    write: async (work) => await writeShard(opened, work, options),
    // Nobody can be asked, and there is nothing to ask: a point that was to win is there once.
    check: async () => undefined,
    close: async () => await live?.close(),
  }
}

async function writeShard(
  opened: Opened,
  { look, points, options, onBytes }: MergeWork,
  { directory, tempDir, throttle, signal }: MergeDirectoryOptions,
): Promise<number> {
  const { shard, isHalfReplaced, state } = opened
  const wanted = points((part) => isWanted(part, options))
  const generation = nextGeneration(opened.generation, shard)
  const writing = { throttle, signal, onBytes }
  if (!isHalfReplaced && (options.onConflict !== 'backup' || look.counts.conflicting === 0)) {
    const { write, written } = writeFiles(wanted, generation, writing)
    await directory.addFiles(shard.shardId, write)
    return written()
  }
  refuseLost(opened)
  const winning = new SpooledSet({ generation, tempDir })
  try {
    for await (const { key, blocks } of wanted) await winning.writeKey(key, blocks)
    const last = (await winning.finish()).map(({ name, source }) => [name, source] as const)
    const all = { files: new Map([...opened.files, ...last]) }
    const merged = readPoints([all], { source: liveSource, signal })
    const { write, written } = writeFiles(merged, generation, writing)
    await directory.replaceFiles(shard.shardId, write, state)
    return written()
  } finally {
    await winning.close()
  }
}

/** What the WAL holds behind its damage would go with it. */
function refuseLost({ shard, lost }: Opened): void {
  if (lost.length === 0) return
  throw new SnapError(
    'E_DESTINATION',
    `shard ${describeShard(shard)}: its WAL is damaged, and would be removed: ${lost.join('; ')}`,
    {
      hint: 'keep a copy of the WAL and let influxd start once, or merge without --on-conflict backup',
    },
  )
}

interface Writing extends Pick<MergeDirectoryOptions, 'throttle' | 'signal'> {
  readonly onBytes: (bytes: number) => void
}

/** Returns what writes points into files of one generation, and how many bytes it has written. */
function writeFiles(
  points: AsyncIterable<FieldPoints>,
  generation: number,
  { throttle, onBytes, signal }: Writing,
): { readonly write: WriteFiles; readonly written: () => number } {
  let bytes = 0
  const throttled = ({ write, close }: TsmTarget): TsmTarget => ({
    close,
    write: async (chunk) => {
      for await (const part of throttle(each([chunk]), signal)) await write(part)
      bytes += chunk.length
      onBytes(bytes)
    },
  })
  const write: WriteFiles = async (openFile) => {
    const open = async (name: string) => throttled(await openFile(name))
    const writer = new TsmSetWriter({ generation, sequence: 1, open })
    for await (const { key, block } of blocksOf(points)) await writer.writeValues(key, block)
    await writer.finish()
  }
  return { write, written: () => bytes }
}
