import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { readProcess } from '../../src/io/proc.ts'
import {
  endedProcess,
  isAbandonedName,
  isGone,
  parseOwner,
  temporaryName,
  thisProcess,
} from '../../src/io/process-owner.ts'
import { until } from '../helpers/until.ts'

/** A process id that nobody has. */
async function freePid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '0'])
  await once(child, 'exit')
  return child.pid ?? 0
}

/** Ends once its parent is another program: a shell would ask how it ended. */
const CHILD = 'while read -r name </proc/$PPID/comm && [ "$name" = sh ]; do :; done'

/** A process that has ended, of a parent that never asks how. */
async function startZombie() {
  const parent = spawn('sh', ['-c', 'sh -c "$0" & echo $!; exec sleep 60', CHILD])
  const [said] = await once(parent.stdout, 'data')
  const pid = Number(said)
  await until(() => readProcess(pid)?.isEnded === true)
  return { pid, stop: () => parent.kill() }
}

describe('isGone', () => {
  it('knows a process that runs from one that has ended', async () => {
    const self = thisProcess()
    expect(isGone(self)).toBe(false)
    expect(isGone(endedProcess())).toBe(true)
    expect(isGone({ ...self, pid: await freePid() })).toBe(true)
  })

  it('knows that a number is another process by now', () => {
    const { startTime } = thisProcess()
    expect(isGone({ ...thisProcess(), startTime: `${startTime}1` })).toBe(true)
  })

  it.skipIf(process.platform !== 'linux')('knows one that nobody has waited for', async () => {
    const { pid, stop } = await startZombie()
    try {
      const startTime = readProcess(pid)?.startTime ?? ''
      expect(startTime).not.toBe('')
      expect(isGone({ ...thisProcess(), pid, startTime })).toBe(true)
    } finally {
      stop()
    }
    expect(readProcess('self')?.isEnded).toBe(false)
  })

  it('takes every process for gone when the machine has started anew', () => {
    expect(isGone({ ...thisProcess(), boot: 'before' })).toBe(true)
    expect(isGone({ ...thisProcess(), boot: 'before', pidNamespace: 'pid:[1]' })).toBe(true)
  })

  it('judges none that it cannot see', async () => {
    const ended = { ...endedProcess(), pid: await freePid() }
    expect(isGone({ ...ended, host: 'elsewhere' })).toBe(false)
    expect(isGone({ ...ended, host: 'elsewhere', boot: 'before' })).toBe(false)
    expect(isGone({ ...ended, pidNamespace: 'pid:[1]' })).toBe(false)
    // Process 1 may not be signalled by us, and runs.
    expect(isGone({ ...thisProcess(), pid: 1, startTime: '' })).toBe(process.platform === 'linux')
  })
})

describe('parseOwner', () => {
  it('reads what was written, and nothing else', () => {
    const self = thisProcess()
    expect(parseOwner(JSON.stringify(self))).toEqual(self)
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"pid":1}',
      JSON.stringify({ ...self, pid: '1' }),
    ]) {
      expect(parseOwner(text)).toBeUndefined()
    }
  })
})

describe('isAbandonedName', () => {
  it('knows names of processes that are gone, of this machine alone', async () => {
    const name = temporaryName()
    expect(temporaryName()).not.toBe(name)
    expect(isAbandonedName(name)).toBe(false)
    const [, pid, start, machine] = name.split('-')
    const of = (parts: readonly unknown[]) => `snap-${parts.join('-')}-00000000.pending`
    expect(isAbandonedName(of([await freePid(), start, machine]))).toBe(true)
    expect(isAbandonedName(of([pid, `${start}1`, machine]))).toBe(true)
    expect(isAbandonedName(of([pid, '', machine]))).toBe(process.platform === 'linux')
    expect(isAbandonedName(of([pid, `${start}1`, '0'.repeat(16)]))).toBe(false)
    for (const other of ['', 'snap.pending', `${name}x`, of([pid, start])]) {
      expect(isAbandonedName(other)).toBe(false)
    }
  })
})
