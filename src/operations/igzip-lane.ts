import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { FileHandle } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { SnapError } from '../errors.ts'
import { withDeadline } from '../io/deadline.ts'
import { openUnnamed } from '../io/temporary-file.ts'
import type { MemberContent } from '../portable/archive-writer.ts'
import { killGroup } from './kill-group.ts'

/**
 * Runs the program for each line it reads, and ends with its input. To fork is cheap for a small shell, and costs a process of
 * our size ten times what the compression does. The files have no names, so they are opened by way of their descriptors. They
 * are written over and never emptied, which would cost more: how far the program came is asked of the kernel. A file that
 * grows beyond 16 MiB is none of ours.
 */
const SCRIPT = `ulimit -f 32768
while read -r go; do
  exec 5<>/proc/self/fd/4
  "$0" -2 -c </proc/self/fd/3 >&5
  code=$?
  read -r name size </proc/self/fdinfo/5
  echo "$code $size"
done`
const SUCCESS = /^0 (\d{1,8})\n$/
/** A start, and some MiB: this is a machine in distress. */
const DEADLINE_MS = 60_000
/** ID1 ID2 CM=deflate (RFC 1952). */
const HEADER = Buffer.from([0x1f, 0x8b, 8])
const HEADER_SIZE = 10
const TRAILER_SIZE = 8

/**
 * A shell beside us that runs `igzip` for one piece of content at a time, from a temporary file into another one: neither is
 * copied through a pipe by the thread that feeds all. Whatever happens to us, the shell ends, and the files are gone.
 */
export class IgzipLane {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #lines: Writable
  readonly #answers: AsyncIterator<unknown>
  readonly #input: FileHandle
  readonly #output: FileHandle
  #inputSize = 0

  private constructor(program: string, input: FileHandle, output: FileHandle) {
    this.#input = input
    this.#output = output
    const child = spawn('/bin/sh', ['-c', SCRIPT, program], {
      stdio: ['pipe', 'pipe', 'ignore', input.fd, output.fd],
      // A session of its own: Ctrl-C on the terminal is for us, and what hangs can be ended with all that it started.
      detached: true,
    })
    const { stdin, stdout } = child
    this.#child = child
    this.#ended = once(child, 'close')
    this.#ended.catch(() => {})
    // Nor can it be asked where there is no shell.
    if (stdin === null || stdout === null) throw failure('cannot be started')
    this.#lines = stdin
    // It shows as an answer that does not come.
    stdin.on('error', () => {})
    this.#answers = stdout.iterator()
  }

  /**
   * Starts the shell.
   * @param tempDir where the two files are, each of the size of the content
   * @throws whatever the system says
   */
  static async open(program: string, tempDir: string): Promise<IgzipLane> {
    const input = await openUnnamed(tempDir)
    let output: FileHandle | undefined
    try {
      output = await openUnnamed(tempDir)
      return new IgzipLane(program, input, output)
    } catch (error) {
      await Promise.all([input.close(), output?.close()])
      throw error
    }
  }

  /**
   * Makes a gzip member in `room` and returns a view of it. One call at a time; after a failure the lane is of no use.
   * @param deadlineMs how long the program may take
   * @throws SnapError `E_FAILED` if the program fails, hangs or makes anything else, or whatever the system says
   */
  async compress(
    { bytes, crc }: MemberContent,
    room: Buffer,
    deadlineMs = DEADLINE_MS,
  ): Promise<Uint8Array> {
    await this.#give(bytes)
    this.#lines.write('\n')
    const answer = await withDeadline(this.#answers.next(), deadlineMs, () => failure('is late'))
    const [, size] = SUCCESS.exec(String(answer.value)) ?? []
    if (size === undefined) throw failure('failed')
    const member = await this.#take(Number(size), room)
    if (!isMember(member, { size: bytes.length, crc })) throw failure('made no such member')
    return member
  }

  /** Ends the shell with all that it started, and waits until it is gone. May be called twice. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#child
    // Once it has been waited for its number is anybody's.
    if (exitCode === null && signalCode === null) killGroup(this.#child, 'SIGKILL')
    this.#lines.destroy()
    this.#child.stdout?.destroy()
    await Promise.allSettled([this.#ended, this.#input.close(), this.#output.close()])
  }

  async #give(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#input.write(bytes, done, bytes.length - done, done)
      done += bytesWritten
    }
    if (this.#inputSize > bytes.length) await this.#input.truncate(bytes.length)
    this.#inputSize = bytes.length
  }

  async #take(size: number, room: Buffer): Promise<Buffer> {
    if (size > room.length) throw failure(`made ${size} bytes`)
    for (let done = 0; done < size; ) {
      const { bytesRead } = await this.#output.read(room, done, size - done, done)
      if (bytesRead === 0) throw failure('made less than it said')
      done += bytesRead
    }
    return room.subarray(0, size)
  }
}

/** Tells whether a member begins as one and ends with what its content is: the program has read all of it. */
function isMember(
  member: Buffer,
  { size, crc }: { readonly size: number; readonly crc: number },
): boolean {
  if (member.length < HEADER_SIZE + TRAILER_SIZE) return false
  const trailer = member.length - TRAILER_SIZE
  return (
    member.subarray(0, HEADER.length).equals(HEADER) &&
    member.readUInt32LE(trailer) === crc &&
    member.readUInt32LE(trailer + 4) === size
  )
}

function failure(what: string): SnapError {
  return new SnapError('E_FAILED', `igzip ${what}`)
}
