import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatTsmFileName } from '../../src/tsm/file-name.ts'
import type { FloatBlock } from '../../src/tsm/values.ts'
import { TsmWriter } from '../../src/tsm/writer.ts'

/** The separator of series key and field in a composite key. */
const FIELD = '#!~#'

/** Returns a TSM file with one series of floats for each key, a block for each list of times; the values are the times. */
export async function tsmBytes(series: Readonly<Record<string, readonly (readonly number[])[]>>) {
  const chunks: Uint8Array[] = []
  const writer = new TsmWriter(async (chunk) => void chunks.push(chunk))
  for (const name of Object.keys(series).sort()) {
    for (const times of series[name] ?? []) {
      await writer.writeValues(Buffer.from(`${name}${FIELD}value`), floats(times))
    }
  }
  await writer.finish()
  return Buffer.concat(chunks)
}

export function floats(times: readonly number[]): FloatBlock {
  return {
    type: 'float',
    times: BigInt64Array.from(times, BigInt),
    values: Float64Array.from(times),
  }
}

/** Returns `000000007-000000001.tsm` for 7. */
export function tsmName(generation: number, sequence = 1): string {
  return formatTsmFileName({ generation, sequence })
}

/** Makes the two directories of a shard with files in them. */
export async function makeShardFiles(
  dir: string,
  files: {
    readonly data?: Readonly<Record<string, Uint8Array | string>>
    readonly wal?: Readonly<Record<string, Uint8Array | string>>
  },
) {
  const directories = { dataPath: join(dir, 'data/db/rp/1'), walPath: join(dir, 'wal/db/rp/1') }
  await mkdir(directories.dataPath, { recursive: true })
  await mkdir(directories.walPath, { recursive: true })
  for (const [name, bytes] of Object.entries(files.data ?? {})) {
    await writeFile(join(directories.dataPath, name), bytes)
  }
  for (const [name, bytes] of Object.entries(files.wal ?? {})) {
    await writeFile(join(directories.walPath, name), bytes)
  }
  return directories
}
