import { readdir } from 'node:fs/promises'
import { expect } from 'vitest'
import { parseFileName } from '../../src/portable/names.ts'
import { snapEnding } from '../faults/snap.ts'

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}

/** The sets of a target that have a manifest. */
export async function setsIn(target: string): Promise<string[]> {
  const names = await namesIn(target)
  return names
    .flatMap((name) => parseFileName(name) ?? [])
    .filter(({ kind }) => kind === 'manifest')
    .map(({ set }) => set)
    .sort()
}

/** Expects that every set with a manifest is whole and whatever else is there can be seen to be unfinished. */
export async function expectSound(target: string, older: readonly string[]): Promise<void> {
  const sets = await setsIn(target)
  expect(sets).toEqual(expect.arrayContaining([...older]))
  for (const set of sets) await snapEnding(0, 'verify', '--deep', '--set', set, target)
  const names = await namesIn(target)
  for (const name of names.filter((each) => !/\.(?:pending|lock)$/.test(each))) {
    const { set = '' } = parseFileName(name) ?? {}
    expect(sets.includes(set) || names.includes(`${set}.pending`), name).toBe(true)
  }
}

/** Expects whole sets and nothing else. */
export async function expectClean(target: string, count: number): Promise<void> {
  const sets = await setsIn(target)
  expect(sets.length).toBeGreaterThanOrEqual(count)
  for (const name of await namesIn(target)) {
    expect(sets, name).toContain(parseFileName(name)?.set)
  }
  await expectSound(target, sets)
}
