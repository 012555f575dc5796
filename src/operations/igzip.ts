import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { crc32, gunzip, gzip } from 'node:zlib'
import { messageOf } from '../errors.ts'
import { type CompressMember, MAX_COMPRESSING } from '../portable/archive-writer.ts'
import { IgzipLane } from './igzip-lane.ts'
import type { Progress } from './progress.ts'

const PROGRAM = 'igzip'
/** A start and nothing else: everything waits for it. */
const TRIAL_MS = 10_000

/** Where `igzip` is looked for, and what it may use. */
export interface IgzipOptions {
  /** As in the variable PATH. */
  readonly path: string | undefined
  readonly tempDir: string
  /** Is told of an `igzip` that does not work. */
  readonly progress: Progress
}

/** Returns what compresses members, as soon as it is known to work; undefined to have it done without. Never rejects. */
export type FindCompressor = () => Promise<CompressMember | undefined>

/**
 * Calls `work` with a compressor that uses `igzip` (Intel ISA-L), which is several times as fast as zlib, if it is on the path and
 * works, which is found out meanwhile; what it makes is gzip as any other. A program that fails costs time and no data. It has
 * ended when this returns.
 * @param options undefined: not to be used
 */
export async function withIgzip<T>(
  options: IgzipOptions | undefined,
  work: (findCompressor: FindCompressor) => Promise<T>,
): Promise<T> {
  const program = options && (await findProgram(options.path))
  if (options === undefined || program === undefined) return await work(async () => undefined)
  const opening = openLanes(program, options.tempDir)
  const warn = (why: string) => {
    const message = `${program} ${why}: gzip is made without it, which takes longer`
    options.progress({ type: 'note', level: 'warning', message })
  }
  const compressor = opening.then((lanes) => {
    if (lanes.length > 0) return compressorOf(lanes, warn)
    warn('does not work here')
    return undefined
  })
  try {
    return await work(() => compressor)
  } finally {
    await compressor
    await Promise.all((await opening).map((lane) => lane.close()))
  }
}

async function findProgram(path = ''): Promise<string | undefined> {
  // Its files have no names, and are opened by way of /proc.
  if (process.platform !== 'linux') return undefined
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    const program = join(folder, PROGRAM)
    if (await isExecutable(program)) return program
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Starts as many as compress at once; only those that work are returned. */
async function openLanes(program: string, tempDir: string): Promise<IgzipLane[]> {
  const opened = await Promise.allSettled(
    Array.from({ length: MAX_COMPRESSING }, () => openLane(program, tempDir)),
  )
  return opened.flatMap((lane) => (lane.status === 'fulfilled' && lane.value) || [])
}

async function openLane(program: string, tempDir: string): Promise<IgzipLane | undefined> {
  const lane = await IgzipLane.open(program, tempDir).catch(() => undefined)
  if (lane === undefined || (await works(lane))) return lane
  await lane.close()
  return undefined
}

/** Programs of that name exist that are something else. */
async function works(lane: IgzipLane): Promise<boolean> {
  const bytes = Buffer.from('to be, or not to be, or to be again '.repeat(100))
  try {
    const content = { bytes, crc: crc32(bytes) }
    const member = await lane.compress(content, Buffer.alloc(bytes.length), TRIAL_MS)
    return bytes.equals(await promisify(gunzip)(member))
  } catch {
    return false
  }
}

/** A lane that fails is left out from then on; the first one that does is told of. */
function compressorOf(lanes: readonly IgzipLane[], warn: (why: string) => void): CompressMember {
  const idle = [...lanes]
  let hasFailed = false
  return async (content, room) => {
    const lane = idle.pop()
    try {
      const member = await lane?.compress(content, room)
      if (lane !== undefined) idle.push(lane)
      if (member !== undefined) return member
    } catch (error) {
      if (!hasFailed) warn(`failed (${messageOf(error)})`)
      hasFailed = true
      await lane?.close()
    }
    return await promisify(gzip)(content.bytes, { level: 1 })
  }
}
