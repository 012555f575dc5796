import { layLines } from '../tsm/kernels/lines.ts'
import { parseCompositeKey } from '../tsm/series-key.ts'
import type { Block } from '../tsm/values.ts'
import { findLineProblem } from './line-check.ts'
import type { FieldPoints } from './points.ts'
import { TextBuffer } from './text-buffer.ts'
import { escapeTable, type ValueStyle, valueWriter, wordsOf } from './value-text.ts'

/** Points that line protocol has no way to say. */
export interface LeftOut {
  /** The composite key they are under. */
  readonly key: Uint8Array
  readonly reason: string
  /** How many; undefined for all of the key, uncounted. */
  readonly points: number | undefined
}

/** How {@link encodeLineProtocol} writes. */
export interface LineProtocolOptions {
  /** Told of every key, or of points of a key, that cannot be written. */
  readonly onLeftOut?: ((left: LeftOut) => void) | undefined
}

/** Lines that the kernel should write for a call, and the most that are written without it. */
const FEW = 4
const MAX_OTHERS = 256

const SPACE = 0x20
const LINE_FEED = 0x0a
const BACKSLASH = 0x5c
const EQUALS = 0x3d

/** Chunks are about this long, in bytes. */
const CHUNK_SIZE = 2 ** 18

const STYLE: ValueStyle = {
  integerSuffix: 'i',
  unsignedSuffix: 'u',
  escape: BACKSLASH,
  escaped: escapeTable('"\\'),
}
/** What influxd unescapes in a field's name (pkg/escape). */
const FIELD_ESCAPED = escapeTable(',= "')

/**
 * Writes points as line protocol with times in nanoseconds, one line for each value: what influxd's `/write` takes
 * back as the same points. Holds one block and one chunk. The chunks belong to the consumer.
 * @throws SnapError `E_FORMAT` if a key is not a composite key, and whatever the blocks throw
 */
export async function* encodeLineProtocol(
  fields: AsyncIterable<FieldPoints>,
  options: LineProtocolOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new TextBuffer(CHUNK_SIZE + CHUNK_SIZE / 4)
  for await (const { key, blocks } of fields) {
    const { seriesKey, name, reason } = checkKey(key)
    if (reason !== undefined) {
      options.onLeftOut?.({ key, reason, points: undefined })
      continue
    }
    const prefix = Buffer.concat([seriesKey, Uint8Array.of(SPACE), name, Uint8Array.of(EQUALS)])
    let notFinite = 0
    for await (const block of blocks) {
      for (let at = 0; at < block.times.length; ) {
        const done = putLines(buffer, prefix, { block, at })
        at = done.at
        notFinite += done.notFinite
        if (buffer.length >= CHUNK_SIZE) yield buffer.take()
      }
    }
    if (notFinite > 0) {
      options.onLeftOut?.({ key, reason: 'NaN or infinite', points: notFinite })
    }
  }
  if (buffer.length > 0) yield buffer.take()
}

/** Says why no point of a composite key can be written; undefined if they can. */
export function findKeyProblem(key: Uint8Array): string | undefined {
  return checkKey(key).reason
}

function checkKey(key: Uint8Array) {
  const { seriesKey, field } = parseCompositeKey(key)
  const name = escapeField(field)
  return { seriesKey, name, reason: findLineProblem(seriesKey, name) }
}

/** Puts lines in until the block or the chunk ends; returns how far it came, and how many values have no text. */
function putLines(
  buffer: TextBuffer,
  prefix: Uint8Array,
  { block, at: from }: { readonly block: Block; readonly at: number },
): { at: number; notFinite: number } {
  const lines = layLines(prefix, block, from)
  let notFinite = 0
  let at = from
  // Where the kernel writes next to nothing, as of floats of 17 digits, it is asked less and less often.
  let others = 1
  while (at < lines.end && buffer.length < CHUNK_SIZE) {
    const written = lines.write(at, CHUNK_SIZE - buffer.length)
    buffer.put(written.text)
    others = written.at - at < FEW ? Math.min(2 * others, MAX_OTHERS) : 1
    const end = Math.min(lines.end, written.at + others)
    const done = putOthers(buffer, prefix, { block, at: written.at, end })
    at = done.at
    notFinite += done.notFinite
  }
  return { at, notFinite }
}

/** Puts lines of any values in, one by one. */
function putOthers(
  buffer: TextBuffer,
  prefix: Uint8Array,
  from: { readonly block: Block; readonly at: number; readonly end: number },
): { at: number; notFinite: number } {
  const { block, end } = from
  const putValue = valueWriter(block, STYLE)
  const times = wordsOf(block.times)
  const floats = block.type === 'float' ? block.values : undefined
  let notFinite = 0
  let at = from.at
  for (; at < end && buffer.length < CHUNK_SIZE; at += 1) {
    if (floats !== undefined && !Number.isFinite(floats[at])) {
      notFinite += 1
      continue
    }
    buffer.put(prefix)
    putValue(buffer, at)
    buffer.putByte(SPACE)
    buffer.putInt64(times[2 * at + 1] ?? 0, times[2 * at] ?? 0)
    buffer.putByte(LINE_FEED)
  }
  return { at, notFinite }
}

function escapeField(field: Uint8Array): Uint8Array {
  const buffer = new TextBuffer(2 * field.length)
  buffer.putEscaped(field, BACKSLASH, FIELD_ESCAPED)
  return buffer.take()
}
