import { SnapError } from '../errors.ts'
import { type RandomAccess, sliceAccess } from '../io/random-access.ts'
import { readAll } from '../io/spool.ts'
import { RequestType } from '../protocol/index.ts'
import { readShardTar, type TarEntry } from '../tar/index.ts'
import { tombstoneFileName } from '../tsm/file-name.ts'
import { openTsm } from '../tsm/reader.ts'
import { decodeTombstones } from '../tsm/tombstone.ts'
import type { UpstreamClient } from './upstream-client.ts'

/** Ends the name of a TSM file, in lower case as influxd writes it. */
const TSM_SUFFIX = '.tsm'

/** An upload that was taken whole, and where it is to go. */
export interface TakenUpload {
  readonly shardId: bigint
  readonly tar: RandomAccess
  readonly client: Pick<UpstreamClient, 'ask'>
  readonly signal: AbortSignal
}

/**
 * Checks an upload before influxd has a byte of it: influxd drops the file whose name another one has before it looks at the
 * new one. Every file must be sound, and its name free in the shard, or taken by the same bytes, as after an upload that is
 * sent again.
 * @throws SnapError `E_FORMAT` or `E_INTEGRITY` if a file is damaged, `E_TARGET_EXISTS` if a name is in use, and what
 * asking the server throws
 */
export async function checkUpload({ shardId, tar, client, signal }: TakenUpload): Promise<void> {
  const files = new Map<string, RandomAccess>()
  for await (const { name, offset, size } of readShardTar(readAll(tar), { signal })) {
    const file = sliceAccess(tar, { offset, size }, name)
    await checkFile(file)
    files.set(name, file)
  }
  if (files.size === 0) return
  const request = { Type: RequestType.ShardBackup, ShardID: shardId }
  for await (const entry of readShardTar(client.ask(request, { signal }), { signal })) {
    if (await isInTheWay(entry, files)) {
      throw new SnapError('E_TARGET_EXISTS', `${entry.name}: the server behind has another one`, {
        hint: 'send the file under a generation that the shard does not use',
      })
    }
  }
}

async function checkFile(file: RandomAccess): Promise<void> {
  if (file.name.endsWith(TSM_SUFFIX)) {
    // Reading a block checks its CRC.
    for await (const _ of (await openTsm(file)).blocks());
  } else {
    for await (const _ of decodeTombstones(readAll(file), file.name));
  }
}

/** True if a file that the shard has would be replaced by another one, or its deletions be lost with it. */
async function isInTheWay(
  entry: TarEntry,
  files: ReadonlyMap<string, RandomAccess>,
): Promise<boolean> {
  const file = files.get(entry.name)
  if (file !== undefined) return !(await isSame(entry, file))
  return [...files.keys()].some(
    (name) => name.endsWith(TSM_SUFFIX) && tombstoneFileName(name) === entry.name,
  )
}

async function isSame({ size, body }: TarEntry, file: RandomAccess): Promise<boolean> {
  if (size !== file.size) return false
  let offset = 0
  for await (const chunk of body) {
    const same = await file.read(offset, chunk.length)
    if (Buffer.compare(chunk, same) !== 0) return false
    offset += chunk.length
  }
  return true
}
