import { SnapError } from '../errors.ts'

/** The two numbers in a TSM file's name. */
export interface TsmFileName {
  /** Grows with every file that is written from the WAL. */
  readonly generation: number
  /** Grows with every compaction of a generation, and with every further file of one. */
  readonly sequence: number
}

const NAME = /^(\d{1,10})-(\d{1,10})\.tsm$/
const MAX_NUMBER = 0xffff_ffff

/**
 * Parses `GENERATION-SEQUENCE.tsm`, the numbers in any width, each an uint32 as influxd reads them.
 * @param name without a directory
 * @returns undefined if it is no name of a TSM file
 */
export function parseTsmFileName(name: string): TsmFileName | undefined {
  const match = NAME.exec(name)
  const generation = Number(match?.[1] ?? Number.NaN)
  const sequence = Number(match?.[2] ?? Number.NaN)
  return generation <= MAX_NUMBER && sequence <= MAX_NUMBER ? { generation, sequence } : undefined
}

/**
 * Formats a TSM file's name with nine digits for each number, more where a number needs them.
 *
 * Files of one shard have an order, that of their names as text: of points with equal times the last file's wins. So
 * generation 1000000000 loses against every one of nine digits.
 * @throws SnapError `E_FAILED` if a number is no uint32
 */
export function formatTsmFileName({ generation, sequence }: TsmFileName): string {
  const digits = [generation, sequence].map((number) => {
    if (Number.isInteger(number) && number >= 0 && number <= MAX_NUMBER) {
      return String(number).padStart(9, '0')
    }
    throw new SnapError('E_FAILED', `TSM file name: ${number} is not a number of 32 bits`)
  })
  return `${digits.join('-')}.tsm`
}

/** Returns the name of the tombstone file that belongs to the TSM file `name`, and to no other. */
export function tombstoneFileName(name: string): string {
  return name.replace(/\.tsm$/, '.tombstone')
}
