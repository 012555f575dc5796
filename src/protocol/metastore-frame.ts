import { SnapError } from '../errors.ts'
import { BackupMagicHeader } from './constants.ts'
import { checkMagic, checkSize, decodeWord, encodeWords, WORD } from './words.ts'

/** The longest metastore in a frame, in bytes. */
export const MAX_META_SIZE = 64 * 1024 * 1024

/** The longest node JSON in a frame, in bytes. */
export const MAX_NODE_SIZE = 64 * 1024

/** The longest frame, in bytes. */
export const MAX_FRAME_SIZE = 3 * WORD + MAX_META_SIZE + MAX_NODE_SIZE

/** The answer to a metastore backup, and the contents of a legacy `meta.NN` file. */
export interface MetastoreFrame {
  /** The metastore in protobuf. */
  readonly meta: Uint8Array
  /** The server's node as JSON with a newline; a stock server sends `null`. */
  readonly node: Uint8Array
}

//   0            8            16              16+meta        24+meta
//   | magic u64  | meta u64   | meta bytes... | node u64     | node JSON... |

function checkLimits(meta: bigint | number, node: bigint | number): void {
  if (meta > MAX_META_SIZE) {
    throw new SnapError(
      'E_PROTOCOL',
      `metastore frame: ${meta} bytes of metastore, expected at most ${MAX_META_SIZE}`,
    )
  }
  if (node > MAX_NODE_SIZE) {
    throw new SnapError(
      'E_PROTOCOL',
      `metastore frame: ${node} bytes of node JSON, expected at most ${MAX_NODE_SIZE}`,
    )
  }
}

/**
 * Encodes a metastore frame.
 * @throws SnapError `E_PROTOCOL` if a part is longer than a frame may hold
 */
export function encodeMetastoreFrame({ meta, node }: MetastoreFrame): Uint8Array {
  checkLimits(meta.length, node.length)
  return Buffer.concat([
    encodeWords([BackupMagicHeader, meta.length]),
    meta,
    encodeWords([node.length]),
    node,
  ])
}

/**
 * Decodes a whole metastore frame. The parts are views over `bytes`.
 * @throws SnapError `E_CUT` if it ends early, `E_PROTOCOL` if it is no such frame, too long, or bytes follow it
 */
export function decodeMetastoreFrame(bytes: Uint8Array): MetastoreFrame {
  const what = 'metastore frame'
  checkMagic(bytes, what)
  const metaSize = decodeWord(bytes, WORD, what)
  checkLimits(metaSize, 0)
  const metaEnd = 2 * WORD + Number(metaSize)
  const nodeSize = decodeWord(bytes, metaEnd, what)
  checkLimits(0, nodeSize)
  const nodeStart = metaEnd + WORD
  checkSize(bytes, nodeStart + Number(nodeSize), what)
  return { meta: bytes.subarray(2 * WORD, metaEnd), node: bytes.subarray(nodeStart) }
}
