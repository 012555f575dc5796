import { formatSeriesKey, parseCompositeKey, parseSeriesKey } from '../tsm/series-key.ts'
import type { Block } from '../tsm/values.ts'
import type { FieldPoints, PolicyName } from './points.ts'
import { TextBuffer } from './text-buffer.ts'
import { escapeTable, type ValueStyle, valueWriter, wordsOf } from './value-text.ts'

/** The first line of a CSV file. */
export const CSV_HEADER = 'database,retention_policy,name,tags,field,type,time,value\n'

const COMMA = 0x2c
const LINE_FEED = 0x0a
const QUOTE = '"'.charCodeAt(0)
/** Chunks are about this long, in bytes. */
const CHUNK_SIZE = 2 ** 18

const STYLE: ValueStyle = {
  integerSuffix: '',
  unsignedSuffix: '',
  escape: QUOTE,
  escaped: escapeTable('"'),
}
const TO_BE_QUOTED = [...Buffer.from(',"\n\r')]

/**
 * Writes points as CSV, one row for each value, without {@link CSV_HEADER}. Times are nanoseconds since the epoch; tags
 * are as in line protocol (`host=a,region=b`, escaped); strings are always quoted, so that an empty one is not taken for a
 * missing one. Holds one block and one chunk. The chunks belong to the consumer.
 * @throws SnapError `E_FORMAT` if a key is not a composite key, and whatever the blocks throw
 */
export async function* encodeCsv(
  fields: AsyncIterable<FieldPoints>,
  policy: PolicyName,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new TextBuffer(CHUNK_SIZE + CHUNK_SIZE / 4)
  for await (const { key, type, blocks } of fields) {
    const prefix = prefixOf(key, type, policy)
    for await (const block of blocks) {
      for (let at = 0; at < block.times.length; ) {
        at = putRows(buffer, prefix, { block, at })
        if (buffer.length >= CHUNK_SIZE) yield buffer.take()
      }
    }
  }
  if (buffer.length > 0) yield buffer.take()
}

function prefixOf(key: Uint8Array, type: string, policy: PolicyName): Uint8Array {
  const { seriesKey, field } = parseCompositeKey(key)
  const { measurement, tags } = parseSeriesKey(seriesKey)
  const untagged = formatSeriesKey({ measurement, tags: [] })
  const tagText = formatSeriesKey({ measurement, tags }).subarray(untagged.length + 1)
  const names = [Buffer.from(policy.database), Buffer.from(policy.retentionPolicy), measurement]
  const cells = [...names, tagText, field, Buffer.from(type)]
  return Buffer.concat(cells.flatMap((cell) => [quote(cell), Uint8Array.of(COMMA)]))
}

function quote(cell: Uint8Array): Uint8Array {
  if (!TO_BE_QUOTED.some((byte) => cell.includes(byte))) return cell
  const buffer = new TextBuffer(2 * cell.length + 2)
  buffer.putByte(QUOTE)
  buffer.putEscaped(cell, QUOTE, STYLE.escaped)
  buffer.putByte(QUOTE)
  return buffer.take()
}

/** Puts rows in until the block or the chunk ends; returns how far it came. */
function putRows(
  buffer: TextBuffer,
  prefix: Uint8Array,
  from: { readonly block: Block; readonly at: number },
): number {
  const { block } = from
  const putValue = valueWriter(block, STYLE)
  const times = wordsOf(block.times)
  let at = from.at
  for (; at < block.times.length && buffer.length < CHUNK_SIZE; at += 1) {
    buffer.put(prefix)
    buffer.putInt64(times[2 * at + 1] ?? 0, times[2 * at] ?? 0)
    buffer.putByte(COMMA)
    putValue(buffer, at)
    buffer.putByte(LINE_FEED)
  }
  return at
}
