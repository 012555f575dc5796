import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tempDir } from '../helpers/temp.ts'
import { type Call, notDurable, pointsOf } from './crash.ts'

const SAFE: readonly Call[] = [
  { call: 'open', path: '/d/a.pending' },
  { call: 'write', path: '/d/a.pending', bytes: 7 },
  { call: 'sync', path: '/d/a.pending' },
  { call: 'link', path: '/d/a.pending', to: '/d/a' },
  { call: 'unlink', path: '/d/a.pending' },
  { call: 'sync', path: '/d' },
]

describe('notDurable', () => {
  it('finds bytes and names that are not on the disk', () => {
    const without = (index: number) => SAFE.filter((_, i) => i !== index)
    expect(notDurable(SAFE)).toEqual([])
    expect(notDurable(without(2))).toEqual(['/d/a: named before its bytes were synced'])
    expect(notDurable(without(5))).toEqual(['/d/a: its directory was not synced'])
  })
})

describe('pointsOf', () => {
  it('counts a write twice', async () => {
    const log = join(await tempDir('log'), 'calls')
    await writeFile(log, SAFE.map((call) => `${JSON.stringify(call)}\n`).join(''))
    const points = await pointsOf(log)
    expect(points.map(({ at, half }) => [at, half])).toEqual([
      ...[1, 2].map((at) => [at, false]),
      [2, true],
      ...[3, 4, 5, 6].map((at) => [at, false]),
    ])
  })
})
