import { createHash, randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import * as v from 'valibot'
import { errnoOf } from '../errors.ts'
import { readLink, readProcess, readText } from './proc.ts'

/** A process by what tells, on the same machine, whether it still runs. */
export const ownerSchema = v.object({
  pid: v.number(),
  /** Ticks since boot; empty where there is no `/proc`. */
  startTime: v.string(),
  boot: v.string(),
  host: v.string(),
  pidNamespace: v.string(),
})

/** A process, as {@link ownerSchema} describes it. */
export type ProcessOwner = v.InferOutput<typeof ownerSchema>

/** Does not change while it runs. */
let self: ProcessOwner | undefined

/** Returns this process. */
export function thisProcess(): ProcessOwner {
  self ??= readSelf()
  return self
}

function readSelf(): ProcessOwner {
  return {
    pid: process.pid,
    startTime: readProcess('self')?.startTime ?? '',
    boot: readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '',
    host: hostname(),
    pidNamespace: readLink('/proc/self/ns/pid') ?? '',
  }
}

/** Returns a process of this machine that is gone: what bears its name is nobody's any more. */
export function endedProcess(): ProcessOwner {
  return { ...thisProcess(), startTime: 'ended' }
}

/** True only if the process is certainly gone: it ran here, and that process, or that boot, has ended. */
export function isGone(owner: ProcessOwner): boolean {
  const own = thisProcess()
  if (owner.host !== own.host) return false
  if (owner.boot !== own.boot) return true
  if (owner.pidNamespace !== own.pidNamespace) return false
  if (!isRunning(owner.pid)) return true
  const state = readProcess(owner.pid)
  return state?.isEnded === true || owner.startTime !== (state?.startTime ?? '')
}

/** Reads what {@link thisProcess} returned from JSON; undefined if it is nothing of the kind. */
export function parseOwner(text: string): ProcessOwner | undefined {
  try {
    return v.parse(ownerSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Digits of the hash of what a pid is unique in. */
const MACHINE_DIGITS = 16
const TEMPORARY_NAME = /^snap-(\d+)-(\d*)-([0-9a-f]{16})-[0-9a-f]{8}\.pending$/

/** Tells machine, boot and PID namespace apart. */
function machineOf({ host, boot, pidNamespace }: ProcessOwner): string {
  const hash = createHash('sha256').update(JSON.stringify([host, boot, pidNamespace]))
  return hash.digest('hex').slice(0, MACHINE_DIGITS)
}

/** Returns a name that no file has, for one that is to be renamed at once: it says itself whose it is. */
export function temporaryName(): string {
  const own = thisProcess()
  const random = randomBytes(4).toString('hex')
  return `snap-${own.pid}-${own.startTime}-${machineOf(own)}-${random}.pending`
}

/** True only if the file of that name is one of {@link temporaryName} whose process is certainly gone. */
export function isAbandonedName(name: string): boolean {
  const [, pid, startTime = '', machine] = TEMPORARY_NAME.exec(name) ?? []
  const own = thisProcess()
  if (pid === undefined || machine !== machineOf(own)) return false
  return isGone({ ...own, pid: Number(pid), startTime })
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}
