import { readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Where Linux shows its processes. */
export const PROC = '/proc'

/** `flags` of a process that belongs to the kernel. */
const PF_KTHREAD = 0x0020_0000

/** Zombies, and those that are just going. */
const ENDED_STATES = ['Z', 'X', 'x']

/** What `/proc/<pid>/stat` says of a process. */
export interface ProcessState {
  readonly command: string
  /** Ticks since boot. With the pid it names a process as long as the machine runs. */
  readonly startTime: string
  readonly isKernel: boolean
  /** Nothing of it runs any more: it is only there for its parent to learn how it ended. */
  readonly isEnded: boolean
}

/**
 * Reads what a process is, which needs no permission. `undefined` if there is no such process, or no `/proc`.
 * The command stands in brackets and may hold brackets itself, so fields are counted from the last one.
 */
export function readProcess(pid: number | 'self', proc = PROC): ProcessState | undefined {
  const text = readText(join(proc, String(pid), 'stat'))
  if (text === undefined) return undefined
  const close = text.lastIndexOf(')')
  const fields = text.slice(close + 2).split(' ')
  return {
    command: text.slice(text.indexOf('(') + 1, close),
    isKernel: (Number(fields[6]) & PF_KTHREAD) !== 0,
    // Where a first thread ended before others, these run on.
    isEnded: ENDED_STATES.includes(fields[0] ?? '') && Number(fields[17]) <= 1,
    startTime: fields[19] ?? '',
  }
}

/** Reads a small file of `/proc`; `undefined` if it is not there or not for us. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Reads a link of `/proc`; `undefined` if it is not there or not for us. */
export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
