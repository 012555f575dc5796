import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { describe } from 'vitest'

/** What takes from root the right to pass over the modes of files; a user has none to begin with. */
export const RESTRICTED: readonly string[] =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []

const [program, ...words] = [...RESTRICTED, 'true']
const CAN_RESTRICT = program !== undefined && spawnSync(program, words).status === 0

/** `describe` for suites in which files refuse who is not allowed to them; root needs setpriv for it. */
export const describeWithModes = describe.skipIf(!CAN_RESTRICT)

const CAN_LIMIT = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0

/** `describe` for suites that run out of descriptors: Linux, with prlimit of util-linux. */
export const describeWithLimits = describe.skipIf(!CAN_LIMIT)

/** Enough for a program to be started, which lifts the limit again. */
const SPARE = 24

/** Runs `work` in this process with `count` descriptors besides those that are open. */
export async function withDescriptors<T>(count: number, work: () => Promise<T>): Promise<T> {
  const before = limitOfDescriptors()
  // The limit is one of numbers, and there may be gaps in those that are taken.
  const taken = Math.max(...readdirSync('/proc/self/fd').map(Number))
  const spare: number[] = []
  while (spare.length < SPARE || (spare.at(-1) ?? 0) <= taken)
    spare.push(openSync('/dev/null', 'r'))
  setLimit((spare.at(-1) ?? 0) + 1 + count)
  try {
    return await work()
  } finally {
    for (const descriptor of spare) closeSync(descriptor)
    setLimit(before)
  }
}

function limitOfDescriptors(): number {
  const args = ['--pid', `${process.pid}`, '--nofile', '--noheadings', '--output', 'SOFT']
  return Number(spawnSync('prlimit', args, { encoding: 'utf8' }).stdout)
}

function setLimit(soft: number): void {
  const { status } = spawnSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${soft}:`])
  if (status !== 0) throw new Error(`prlimit --nofile=${soft}: failed`)
}
