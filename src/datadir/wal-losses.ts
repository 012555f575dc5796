import type { WalReport } from '../wal/to-tsm.ts'

/** Says what of a WAL is lost, one line each. */
export function lossesOf({ lost, conflicts }: WalReport): string[] {
  const messages = lost.map(
    ({ segment, offset, bytes, detail }) =>
      `${segment}: ${bytes} bytes at offset ${offset} cannot be read: ${detail}`,
  )
  const { points, key } = conflicts
  if (points > 0) {
    messages.push(`WAL: left out ${points} points of another type than newer ones, of ${key}`)
  }
  return messages
}
