import { copyInto } from './copy-into.ts'

const FIRST_SIZE = 1024

/**
 * Bytes that come in pieces, copied together as they come. Kept as pieces they would hold on to all they were cut from, and
 * one that came alone costs a hundred times its size.
 */
export class Gathered {
  readonly #limit: number
  #room: Buffer
  #size = 0

  /**
   * @param limit bytes it is never to be longer than: room is doubled up to it
   * @param room what they go into as long as they fit
   */
  constructor(limit: number, room: Buffer = Buffer.alloc(0)) {
    this.#limit = limit
    this.#room = room
  }

  /** Appends a piece, which may change afterwards. The caller keeps to the limit. */
  add(piece: Uint8Array): void {
    const size = this.#size + piece.length
    if (size > this.#room.length) {
      const room = Math.min(this.#limit, Math.max(FIRST_SIZE, 2 * this.#room.length))
      const grown = Buffer.allocUnsafe(Math.max(size, room))
      this.#room.copy(grown, 0, 0, this.#size)
      this.#room = grown
    }
    copyInto(this.#room, this.#size, piece)
    this.#size = size
  }

  get size(): number {
    return this.#size
  }

  /** All of it: a view, which is right until the next piece. */
  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#size)
  }
}
