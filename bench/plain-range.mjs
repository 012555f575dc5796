// What an exact range into a set cannot do without, and nothing else: of each TSM file the blocks of the range are read, their
// CRC checked, those at both ends cut, what is left summed up point by point, compressed, hashed, written and synced. The codec
// is ours. No server between, no tar, no WAL, no metastore, nothing that must not be left behind: no set.
//
//   node bench/plain-range.mjs DATA FOLDER START END      (nanoseconds, both inclusive)
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { bytesAccess, fileAccess } from '../dist/io/random-access.js'
import { openTsm } from '../dist/tsm/reader.js'
import { rewriteTsm } from '../dist/tsm/rewrite.js'
import { checkHere } from '../dist/tsm/sum-files.js'

/** The path of this program. */
export const PLAIN_RANGE = fileURLToPath(import.meta.url)

/** All keys of a shard of the benchmark have the same times: the first one tells. */
async function hasTimes(file, { start, end }) {
  for await (const { entries } of file.keys()) {
    return entries[0].minTime <= end && entries.at(-1).maxTime >= start
  }
  return false
}

async function writeSynced(path, bytes) {
  const file = await open(path, 'w')
  await file.writeFile(bytes)
  await file.sync()
  await file.close()
}

/** By igzip out of one file into another, as pipes would be filled and emptied here; by zlib where there is none. */
async function compress(path, bytes) {
  const plain = await open(`${path}.tsm`, 'w+')
  const packed = await open(path, 'w+')
  try {
    await plain.writeFile(bytes)
    const stdio = ['ignore', packed.fd, 'ignore']
    const [code] = await once(spawn('igzip', ['-2', '-c', `${path}.tsm`], { stdio }), 'exit')
    if (code !== 0) throw new Error(`igzip ended with ${code}`)
    await packed.sync()
    return await readFile(path)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    const made = await promisify(gzip)(bytes, { level: 1 })
    await writeSynced(path, made)
    return made
  } finally {
    await Promise.all([plain.close(), packed.close()])
  }
}

async function exportFile(from, to, range) {
  const file = await openTsm(await fileAccess(from))
  try {
    if (!(await hasTimes(file, range))) return
    const chunks = []
    const { size } = await rewriteTsm(
      file,
      async (chunk) => void chunks.push(Buffer.from(chunk)),
      range,
    )
    if (size === 0) return
    const bytes = Buffer.concat(chunks)
    const compressing = compress(to, bytes)
    const [packed] = await Promise.all([
      compressing,
      checkHere(bytesAccess(bytes, from), { points: true }),
    ])
    createHash('sha256').update(packed).digest('hex')
  } finally {
    await file.close()
  }
}

if (process.argv[1] === PLAIN_RANGE) {
  const [data, folder, start, end] = process.argv.slice(2)
  const range = { start: BigInt(start), end: BigInt(end) }
  await mkdir(folder, { recursive: true })
  const names = (await readdir(data, { recursive: true })).filter((name) => name.endsWith('.tsm'))
  await Promise.all(
    names.map((name, i) => exportFile(join(data, name), join(folder, String(i)), range)),
  )
  const directory = await open(folder)
  await directory.sync()
  await directory.close()
}
