import { MAX_BLOCK_VALUES } from '../format.ts'
import {
  align,
  BASE,
  COLUMNS,
  copyIn,
  type Kernels,
  kernelsFor,
  SHARED_SIZE,
  SLACK,
  sharedMemory,
  type WordColumn,
} from './kernels.ts'

/** Two seeds of a key, then two sums over points: four words. */
export type FingerprintState = BigUint64Array

function withState(
  state: FingerprintState,
  size: number,
  run: (kernels: Kernels, buffer: ArrayBuffer) => void,
): void {
  const kernels = kernelsFor(COLUMNS + size)
  const { buffer } = kernels.memory
  copyIn(state, buffer, BASE)
  run(kernels, buffer)
  state.set(new BigUint64Array(buffer, BASE, 4))
}

/** Puts the seeds of a key into `state`; its sums stay. */
export function seedKey(state: FingerprintState, key: Uint8Array, typeCode: number): void {
  withState(state, key.length, (kernels, buffer) => {
    copyIn(key, buffer, COLUMNS)
    kernels.seedKey(COLUMNS, key.length, typeCode, BASE)
  })
}

/** Adds points of the key whose seeds are in `state` to its sums. Values of one byte are booleans. */
export function addPoints(
  state: FingerprintState,
  times: BigInt64Array,
  values: WordColumn | Uint8Array,
): void {
  const size = times.byteLength
  withState(state, size + values.byteLength, (kernels, buffer) => {
    copyIn(times, buffer, COLUMNS)
    copyIn(values, buffer, COLUMNS + size)
    const kernel = values instanceof Uint8Array ? kernels.addBytes : kernels.addWords
    kernel(COLUMNS, COLUMNS + size, times.length, BASE)
  })
}

/** Adds points with strings as {@link addPoints} does; string `i` is `bytes.subarray(offsets[i], offsets[i + 1])`. */
export function addStrings(
  state: FingerprintState,
  times: BigInt64Array,
  { offsets, bytes }: { readonly offsets: Uint32Array; readonly bytes: Uint8Array },
): void {
  const first = offsets[0] ?? 0
  const used = bytes.subarray(first, offsets.at(-1))
  const size = times.byteLength + offsets.byteLength
  withState(state, size + used.length, (kernels, buffer) => {
    copyIn(times, buffer, COLUMNS)
    copyIn(offsets, buffer, COLUMNS + times.byteLength)
    copyIn(used, buffer, COLUMNS + size)
    const origin = COLUMNS + size - first
    kernels.addStrings(COLUMNS, COLUMNS + times.byteLength, origin, times.length, BASE)
  })
}

/**
 * Adds the points of an encoded block as {@link addPoints} does, without handing them out.
 * @returns how many there were; 0, and nothing is added, unless it is a block that decodes, not huge, whose times ascend from
 * `minTime` to `maxTime`
 */
export function addEncoded(
  sums: FingerprintState,
  block: Uint8Array,
  { minTime, maxTime }: { readonly minTime: bigint; readonly maxTime: bigint },
): number {
  const dst = align(COLUMNS + block.length + SLACK)
  if (dst + MAX_BLOCK_VALUES * 16 > SHARED_SIZE) return 0
  const { kernels, bytes, unsignedWords: state } = sharedMemory()
  state.set(sums)
  state[4] = minTime
  state[5] = maxTime
  bytes.set(block, COLUMNS)
  const count = kernels.addBlock(COLUMNS, block.length, dst, MAX_BLOCK_VALUES, BASE)
  for (let i = 2; i < 4; i++) sums[i] = state[i] ?? 0n
  return count
}
