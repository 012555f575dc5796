import { SnapError } from '../errors.ts'
import { recycling } from '../io/recycled.ts'
import { readRecycled, spool, spoolOfPart } from '../io/spool.ts'
import type { TarEntryInput } from '../tar/index.ts'
import { openTsm } from '../tsm/reader.ts'
import { rewriteTsm, type TsmFilter } from '../tsm/rewrite.ts'
import { readTombstones, type TombstoneSet } from '../tsm/tombstone-set.ts'

/** Which points of a shard are wanted, and where a large TSM file may be spooled. */
export interface RewriteOptions {
  readonly filter?: TsmFilter | undefined
  readonly tempDir: string
}

/**
 * Turns the files of a shard into TSM files of only the wanted points: tombstones are applied to the file they belong
 * to and left out, the filter is applied to all. A file that neither touches passes through unread. What is read of a file may
 * change when the next is asked for.
 * @throws SnapError `E_FORMAT` if a tombstone comes after its TSM file, which no walk of a directory in the order of
 * names gives, or a file is damaged
 */
export async function* rewriteEntries(
  entries: AsyncIterable<TarEntryInput>,
  { filter, tempDir }: RewriteOptions,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const tombstones = new Map<string, TombstoneSet>()
  const passed = new Set<string>()
  for await (const entry of entries) {
    const { name } = entry
    const stem = name.slice(0, name.lastIndexOf('.'))
    if (name.endsWith('.tombstone')) {
      if (passed.has(stem)) {
        throw new SnapError('E_FORMAT', `${name} comes after the file it belongs to`)
      }
      tombstones.set(stem, await readTombstones(stream(entry.body), name))
    } else if (name.endsWith('.tsm')) {
      passed.add(stem)
      const deleted = tombstones.get(stem)
      tombstones.delete(stem)
      if (deleted === undefined && filter === undefined) yield entry
      else yield* rewriteEntry(entry, { ...filter, tombstones: deleted }, tempDir)
    }
  }
}

async function* stream(body: TarEntryInput['body']): AsyncGenerator<Uint8Array> {
  yield* body
}

async function* rewriteEntry(
  entry: TarEntryInput,
  filter: TsmFilter & { readonly tombstones: TombstoneSet | undefined },
  tempDir: string,
): AsyncGenerator<TarEntryInput, void, undefined> {
  const { name, size, mtime } = entry
  const rewritten = spoolOfPart({ name, tempDir, size })
  const file = await openTsm(await spool(entry.body, { name, tempDir, size }))
  try {
    const { size: left } = await rewriteTsm(file, (chunk) => rewritten.consume(chunk), {
      ...filter,
      tempDir,
    })
    const body = recycling(readRecycled(rewritten.access()))
    if (left > 0) yield { name, size: left, mtime, body }
  } finally {
    await file.close()
    await rewritten.close()
  }
}
