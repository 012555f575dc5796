import type { FieldType } from './format.ts'
import type { TsmFile, TsmKey } from './reader.ts'
import type { TombstoneSet } from './tombstone-set.ts'

/** One file of a shard with its own tombstones. */
export interface TsmSource {
  readonly file: TsmFile
  readonly tombstones?: TombstoneSet | undefined
}

/** The blocks of a key in one file. */
export interface KeyPart {
  readonly source: TsmSource
  /** Place of the file among the files. */
  readonly rank: number
  readonly key: TsmKey
}

/** A key with its blocks in all files that have it, in the order of the files: one or more. */
export interface AlignedKey {
  readonly key: Uint8Array
  /** The type it has in the first of them. */
  readonly type: FieldType
  readonly parts: readonly KeyPart[]
}

/** A file at one of its keys. */
interface Cursor extends KeyPart {
  readonly keys: AsyncGenerator<TsmKey>
}

/**
 * Reads the indexes of files side by side: each key once, in order. No block is read.
 * @throws SnapError as {@link TsmFile.keys}
 */
export async function* alignKeys(sources: readonly TsmSource[]): AsyncGenerator<AlignedKey> {
  const open = sources.map(({ file }) => file.keys())
  const heap: Cursor[] = []
  try {
    for (const [rank, keys] of open.entries()) {
      const source = sources[rank]
      const { done, value: key } = await keys.next()
      if (!done && source !== undefined) push(heap, { source, rank, keys, key })
    }
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      const { key, type } = first.key
      const parts: Cursor[] = []
      for (let next = heap[0]; next !== undefined && equal(next.key.key, key); next = heap[0]) {
        parts.push(next)
        const { done, value } = await next.keys.next()
        if (done) pop(heap)
        else replaceFirst(heap, { ...next, key: value })
      }
      yield { key, type, parts }
    }
  } finally {
    for (const keys of open) await keys.return(undefined)
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0
}

// A binary heap: the first key of all files comes first, of equal ones that of the first file.

function isBefore(a: Cursor, b: Cursor): boolean {
  const order = Buffer.compare(a.key.key, b.key.key)
  return order < 0 || (order === 0 && a.rank < b.rank)
}

function push(heap: Cursor[], item: Cursor): void {
  let at = heap.length
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up]
    if (parent === undefined || isBefore(parent, item)) break
    heap[at] = parent
    at = up
  }
  heap[at] = item
}

function pop(heap: Cursor[]): void {
  const last = heap.pop()
  if (last !== undefined && heap.length > 0) replaceFirst(heap, last)
}

function replaceFirst(heap: Cursor[], item: Cursor): void {
  let at = 0
  for (;;) {
    const left = heap[2 * at + 1]
    const right = heap[2 * at + 2]
    const takesRight = left !== undefined && right !== undefined && isBefore(right, left)
    const child = takesRight ? right : left
    if (child === undefined || isBefore(item, child)) break
    heap[at] = child
    at = 2 * at + (takesRight ? 2 : 1)
  }
  heap[at] = item
}
