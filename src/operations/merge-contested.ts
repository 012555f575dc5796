import type { HttpClient } from '../client/index.ts'
import { findKeyProblem } from '../formats/line-protocol.ts'
import { startOfGroup } from '../meta/index.ts'
import { type AlignedKey, alignKeys, type KeyPart } from '../tsm/align.ts'
import { parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import { sliceTimes, type TimeRange } from '../tsm/values.ts'
import type { LookOptions, MergePiece } from './merge-look.ts'
import { readPoints } from './read-points.ts'
import { SelectCheck, type TagKeys, type WrongPoints } from './select-check.ts'
import type { ShardFiles } from './shard-source.ts'
import { sourcesOf } from './tsm-sources.ts'

/**
 * Asks the server for the points of a piece that are where blocks of a live shard overlap: there an influxd can return an
 * older value although a newer file has another one. It sorts blocks in an order that is none when there are many of
 * them, and makes what it returns lasting when it compacts them.
 * @param live the shard as it was read last: it has all points of the piece
 * @returns what queries return wrongly
 */
export async function checkContested(
  { files, range, live: { database, retentionPolicy, group } }: MergePiece,
  live: ShardFiles,
  { http, source, keepKey, signal }: LookOptions & { readonly http: HttpClient },
): Promise<WrongPoints | undefined> {
  const contested = contestedKeys(live)
  const stored = readPoints([files], { source, range, keepKey, signal })
  const shard = { database, retentionPolicy }
  const tagKeys = await tagKeysOf(live)
  const check = new SelectCheck({ http, shard, tagKeys, start: startOfGroup(group), signal })
  try {
    let next = await contested.next()
    for await (const { key, blocks } of stored) {
      while (!next.done && Buffer.compare(next.value.key, key) < 0) next = await contested.next()
      if (next.done) break
      if (Buffer.compare(next.value.key, key) !== 0 || findKeyProblem(key) !== undefined) continue
      const copy = Uint8Array.from(key)
      for await (const block of blocks) await check.add(copy, sliceTimes(block, next.value.range))
    }
    await check.finish()
    return check.wrong
  } finally {
    await contested.return(undefined)
  }
}

/** Yields the keys with blocks that overlap, and all times between the first and the last of these. */
async function* contestedKeys(
  live: ShardFiles,
): AsyncGenerator<{ readonly key: Uint8Array; readonly range: TimeRange }, void, undefined> {
  for await (const { key, parts } of alignKeys(await sourcesOf(live.files))) {
    const range = overlapOf(parts)
    if (range !== undefined) yield { key, range }
  }
}

/** Returns the times of the blocks of a key that overlap others; undefined if none does. */
export function overlapOf(parts: AlignedKey['parts'] | readonly KeyPart[]): TimeRange | undefined {
  if (parts.length < 2) return undefined
  const entries = parts
    .flatMap(({ key }) => key.entries)
    .sort((a, b) => (a.minTime < b.minTime ? -1 : a.minTime > b.minTime ? 1 : 0))
  let range: TimeRange | undefined
  let last: TimeRange | undefined
  for (const entry of entries) {
    if (last !== undefined && entry.minTime <= last.maxTime) {
      const maxTime = entry.maxTime > last.maxTime ? entry.maxTime : last.maxTime
      range = { minTime: range?.minTime ?? last.minTime, maxTime }
    }
    if (last === undefined || entry.maxTime > last.maxTime) last = entry
  }
  return range
}

async function tagKeysOf({ files }: ShardFiles): Promise<TagKeys> {
  const found = new Map<string, Set<string>>()
  for await (const { key } of alignKeys(await sourcesOf(files))) {
    const { measurement, tags } = parseSeriesKey(parseCompositeKey(key).seriesKey)
    const name = Buffer.from(measurement).toString()
    const names = found.get(name) ?? new Set()
    found.set(name, names)
    for (const tag of tags) names.add(Buffer.from(tag.key).toString())
  }
  return found
}
