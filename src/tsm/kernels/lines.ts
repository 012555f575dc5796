import type { Block, FieldType } from '../values.ts'
import { COLUMNS, copyIn, kernelsFor } from './kernels.ts'

const TYPES: Readonly<Record<FieldType, number>> = {
  ...{ float: 0, integer: 1, unsigned: 2, boolean: 3, string: 4 },
}

/** Values that are laid out at a time, and the most bytes of their strings, of a prefix, and of text. */
const MAX_VALUES = 1024
const MAX_STRINGS = 64 * 1024
const MAX_PREFIX = 16 * 1024
const MAX_TEXT = 128 * 1024

/** What the kernel may read or write past an end. */
const SLACK = 16

const TIMES = COLUMNS
const VALUES = TIMES + 8 * MAX_VALUES
const STRINGS = VALUES + 8 * MAX_VALUES + SLACK
const PREFIX = STRINGS + MAX_STRINGS + SLACK
const TEXT = PREFIX + MAX_PREFIX + SLACK
const END = TEXT + MAX_TEXT

/** Values of one key that lie ready to be written as lines. Nothing else may use the kernels before the last is written. */
export interface LaidLines {
  /** The value after the last that lies ready. */
  readonly end: number
  /**
   * Writes lines from value `at` on, of at most `room` bytes together. Their text is a view, right until the next call. `at` is then the value that it stopped at: of
   * the end, of the text, or one whose line it cannot write: a float that is not finite, or takes an exponent or more than 15
   * digits, or what is very long.
   */
  write(at: number, room: number): { readonly at: number; readonly text: Uint8Array }
}

/** Lays out values of `block` from `from` on: `prefix`, the value, a space, the time and a line feed will be their lines. */
export function layLines(prefix: Uint8Array, block: Block, from: number): LaidLines {
  const kernels = kernelsFor(END + SLACK)
  const { buffer } = kernels.memory
  const end = endOf(block, from)
  const isLaid = prefix.length <= MAX_PREFIX && layValues(block, from, { end, buffer })
  if (!isLaid) return { end, write: (at) => ({ at, text: new Uint8Array() }) }
  copyIn(prefix, buffer, PREFIX)
  copyIn(block.times.subarray(from, end), buffer, TIMES)
  const type = TYPES[block.type]
  const texts = block.type === 'string' ? STRINGS - (block.values.offsets[from] ?? 0) : 0
  return {
    end,
    write(at, room) {
      const [first, count] = [at - from, end - from]
      const columns = [PREFIX, prefix.length, TIMES, VALUES, texts] as const
      const stopped = kernels.writeLines(
        type,
        first,
        count,
        ...columns,
        TEXT,
        Math.min(END, TEXT + room),
      )
      const length = kernels.linesEnd.value - TEXT
      return { at: from + stopped, text: new Uint8Array(buffer, TEXT, length) }
    },
  }
}

/** As many values as there is room for, or one that there is none for. */
function endOf(block: Block, from: number): number {
  let count = Math.min(block.times.length - from, MAX_VALUES)
  if (block.type !== 'string') return from + count
  const { offsets } = block.values
  const sizeOf = (values: number) => (offsets[from + values] ?? 0) - (offsets[from] ?? 0)
  while (count > 1 && sizeOf(count) > MAX_STRINGS) count >>= 1
  return from + count
}

/** Copies the values in; false if they are too long. */
function layValues(
  block: Block,
  from: number,
  { end, buffer }: { readonly end: number; readonly buffer: ArrayBuffer },
): boolean {
  if (block.type !== 'string') {
    copyIn(block.values.subarray(from, end), buffer, VALUES)
    return true
  }
  const { offsets, bytes } = block.values
  const used = bytes.subarray(offsets[from], offsets[end])
  if (used.length > MAX_STRINGS) return false
  copyIn(offsets.subarray(from, end + 1), buffer, VALUES)
  copyIn(used, buffer, STRINGS)
  return true
}
