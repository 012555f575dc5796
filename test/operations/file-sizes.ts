import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringColumn } from '../../src/tsm/values.ts'
import { tsmName } from '../datadir/shard-files.ts'
import type { Directories } from '../helpers/influxd.ts'
import { tsmBytes } from '../tsm/files.ts'
import { DAY, type ShardFixture, writeDirectories } from './shards.ts'

/** Bytes of one value, which nothing compresses. */
const VALUE_SIZE = 60_000

/** A TSM file of exactly `size` bytes, with noise in it: a value for each second from `start` on, in ns. */
async function tsmOfSize(size: number, start: bigint): Promise<Buffer> {
  const full = Math.floor(size / (VALUE_SIZE + 200))
  // The last value takes what is left, which may be more than one of the others.
  const noise = randomBytes((full + 4) * VALUE_SIZE)
  const make = async (last: number, padding: number) => {
    const blocks = Array.from({ length: full + 1 }, (_, i) => ({
      type: 'string' as const,
      times: BigInt64Array.of(start + BigInt(i) * 1_000_000_000n),
      values: stringColumn([
        noise.subarray(i * VALUE_SIZE).subarray(0, i < full ? VALUE_SIZE : last),
      ]),
    }))
    return await tsmBytes([[`m${'x'.repeat(padding)},a=b#!~#v`, blocks]])
  }
  let last = 0
  let padding = 0
  for (let tries = 0; tries < 20 && last >= 0; tries++) {
    const bytes = await make(last, padding)
    const missing = size - bytes.length
    if (missing === 0) return bytes
    // What a value takes besides its bytes grows with it now and then.
    if (missing > 300) last += missing - 250
    else if (missing > 0) padding += missing
    else last += missing - 1
  }
  throw new RangeError(`no TSM file has ${size} bytes`)
}

/** Makes a data directory of four shards whose TSM files have these sizes, numbered as they come. */
export async function directoriesOf(sizes: readonly number[]): Promise<Directories> {
  const shards = [1n, 2n, 3n, 4n].map(
    (id): ShardFixture => ({ id, database: 'db', retentionPolicy: 'rp', day: id, files: [] }),
  )
  const dirs = await writeDirectories(shards)
  for (const [i, size] of sizes.entries()) await addFile(dirs, i, size)
  return dirs
}

/** Adds file number `i` to one of the shards. */
export async function addFile(dirs: Directories, i: number, size: number): Promise<void> {
  const id = 1n + BigInt(i % 4)
  const bytes = await tsmOfSize(size, id * DAY)
  await writeFile(join(dirs.data, 'db/rp', String(id), tsmName(i + 1)), bytes)
}
