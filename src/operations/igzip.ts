import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { CompressMember } from '../portable/archive-writer.ts'

const PROGRAM = 'igzip'
/** Bytes that a member may have beyond twice its content: a program that never stops is none of ours. */
const MAX_OVERHEAD = 64 * 1024
/** A start, and some MiB: this is a machine in distress. */
const DEADLINE_MS = 60_000

/**
 * Returns the compressor that uses `igzip` (Intel ISA-L), which is several times as fast as zlib, if it is on `path` and
 * works; what it makes is gzip as any other.
 * @param path as in the variable PATH
 */
export async function findIgzip(path: string | undefined): Promise<CompressMember | undefined> {
  for (const folder of (path ?? '').split(delimiter).filter(isAbsolute)) {
    const program = join(folder, PROGRAM)
    if (!(await isExecutable(program))) continue
    return (await works(program)) ? (bytes) => compressOrFallBack(program, bytes) : undefined
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Programs of that name exist that are something else. */
async function works(program: string): Promise<boolean> {
  const sample = Buffer.from('to be, or not to be, or to be again '.repeat(100))
  try {
    const back = await promisify(gunzip)(await run(program, sample))
    return sample.equals(back)
  } catch {
    return false
  }
}

/** A process that cannot be started, or is killed, costs time and no data. */
async function compressOrFallBack(program: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await run(program, bytes)
  } catch {
    return await promisify(gzip)(bytes, { level: 1 })
  }
}

async function run(program: string, bytes: Uint8Array): Promise<Uint8Array> {
  const child = spawn(program, ['-1', '-c'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  try {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    // What it says with its exit code is worth more than that it did not read all.
    child.stdin.on('error', () => {})
    child.stdin.end(bytes)
    const chunks: Uint8Array[] = []
    let room = 2 * bytes.length + MAX_OVERHEAD
    child.stdout.on('data', (chunk: Uint8Array) => {
      room -= chunk.length
      if (room >= 0) chunks.push(chunk)
      else child.kill('SIGKILL')
    })
    const code = await ended
    if (code !== 0) throw new Error(`${program} ended with ${code}`)
    return Buffer.concat(chunks)
  } finally {
    clearTimeout(late)
  }
}
