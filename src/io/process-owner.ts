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

/** Returns this process. */
export function thisProcess(): ProcessOwner {
  return {
    pid: process.pid,
    startTime: readProcess('self')?.startTime ?? '',
    boot: readText('/proc/sys/kernel/random/boot_id')?.trim() ?? '',
    host: hostname(),
    pidNamespace: readLink('/proc/self/ns/pid') ?? '',
  }
}

/** True only if the process is certainly gone: it ran here, and that process, or that boot, has ended. */
export function isGone(owner: ProcessOwner): boolean {
  const self = thisProcess()
  if (owner.host !== self.host) return false
  if (owner.boot !== self.boot) return true
  if (owner.pidNamespace !== self.pidNamespace) return false
  if (!isRunning(owner.pid)) return true
  return owner.startTime !== (readProcess(owner.pid)?.startTime ?? '')
}

/** Reads what {@link thisProcess} returned from JSON; undefined if it is nothing of the kind. */
export function parseOwner(text: string): ProcessOwner | undefined {
  try {
    return v.parse(ownerSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}
