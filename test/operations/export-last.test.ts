import { describe, expect, it } from 'vitest'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { type DirectorySpec, HOUR, makeDirectory } from '../helpers/data-directory.ts'
import { tempDir } from '../helpers/temp.ts'

/** Two series over three shards: one that ends in the second, one whose last points are in a file of their own. */
const SPEC: DirectorySpec = {
  d: {
    p: {
      shards: [
        { id: 1, hour: 0, files: [{ 'm,h=a': [1, 2, 3], 'm,h=b': [5] }] },
        { id: 2, hour: 1, files: [{ 'm,h=a': [HOUR + 1, HOUR + 2] }, { 'm,h=a': [HOUR + 3] }] },
        { id: 3, hour: 2, files: [{ 'm,h=c': [2 * HOUR] }] },
      ],
    },
  },
}

async function lastOf(count: number, ...words: string[]): Promise<string[]> {
  const { flags } = await makeDirectory(SPEC)
  const target = await tempDir('target')
  await snapJson(['backup', ...flags, target])
  const args = ['export', '--from', target, '--format', 'lp', '--last', String(count), ...words]
  const { stdout } = await snapExpecting(0, [...args, '-'])
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => line.replace(/ value=\S+/, ''))
}

describe('snap export --last', () => {
  it('takes the newest point of each series, whatever shard it is in', async () => {
    expect(await lastOf(1)).toEqual([`m,h=c ${2 * HOUR}`, `m,h=a ${HOUR + 3}`, 'm,h=b 5'])
  })

  it('goes back into older shards for what newer ones lack', async () => {
    expect(await lastOf(5, '--tag', 'h=a')).toEqual([
      `m,h=a ${HOUR + 1}`,
      `m,h=a ${HOUR + 2}`,
      `m,h=a ${HOUR + 3}`,
      'm,h=a 2',
      'm,h=a 3',
    ])
  })

  it('takes the newest of a range of times', async () => {
    expect(await lastOf(1, '--end', '1970-01-01T00:30:00Z')).toEqual(['m,h=a 3', 'm,h=b 5'])
  })

  it.each(['parquet', 'portable'])('is refused for %s', async (format) => {
    const { stderr } = await snapExpecting(2, ['export', '--format', format, '--last', '1', 'x'])
    expect(stderr).toContain('--last goes with')
  })
})
