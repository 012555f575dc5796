import { execFileSync } from 'node:child_process'
import { mkdtemp, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { SHELLS } from '../../src/cli/completion-scripts.ts'
import { snapExpecting, snapJson } from '../helpers/cli.ts'
import { makeDirectory } from '../helpers/data-directory.ts'
import { ROOT } from '../helpers/sources.ts'
import { tempDir } from '../helpers/temp.ts'

let target: string
let set: string

beforeAll(async () => {
  const { flags } = await makeDirectory()
  target = await tempDir('target')
  set = String((await snapJson(['backup', ...flags, target]))['set'])
})

async function complete(...words: string[]): Promise<string[]> {
  const { stdout } = await snapExpecting(0, ['completion', 'words', '--', ...words])
  return stdout.split('\n').flatMap((line) => line.split('\t')[0] || [])
}

describe('snap completion', () => {
  it.each([
    [['ba'], ['backup']],
    [['backup', '--compr'], ['--compression']],
    [
      ['backup', '--compression', ''],
      ['gzip', 'none'],
    ],
    [['backup', '--compression', 'x'], []],
    [['no-such-command', ''], []],
    [['restore', '--db', ''], []],
    [['restore', '/no/such/place', '--db', ''], []],
  ])('completes %j with %j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected)
  })

  it('lists every command', async () => {
    const commands = await complete('')
    expect(commands).toEqual(expect.arrayContaining(['backup', 'restore', 'verify', 'completion']))
    expect(commands).not.toContain('help')
  })

  it('completes databases and sets of the place that is named', async () => {
    expect(await complete('restore', target, '--db', '')).toEqual(['telegraf', 'two words'])
    expect(await complete('restore', '--jobs', '2', target, '--db', 'two')).toEqual(['two words'])
    expect(await complete('export', '--from', target, '--db', 't')).toHaveLength(2)
    expect(await complete('restore', target, '--set', '')).toEqual(['latest', set])
    expect(await complete('pin', target, set.slice(0, 4))).toEqual([set])
    expect(await complete('pin', '')).toEqual([])
  })

  it('says what candidates mean, for shells that show it', async () => {
    const { stdout } = await snapExpecting(0, ['completion', 'words', '--', 'verify'])
    expect(stdout).toMatch(/^verify\tprove that backups are whole/)
  })

  it.each(SHELLS)('prints a script for %s', async (shell) => {
    const { stdout } = await snapExpecting(0, ['completion', shell])
    expect(stdout).toContain('completion words --')
    expect(await snapJson(['completion', shell])).toMatchObject({ shell })
  })

  it('refuses other shells', async () => {
    const { stderr } = await snapExpecting(2, ['completion', 'tcsh'])
    expect(stderr).toContain('bash, zsh, fish')
    await snapExpecting(2, ['completion'])
    await snapExpecting(2, ['completion', 'bash', 'more'])
  })

  it('works in a real bash, spaces in names and all', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'snap-bin-'))
    await symlink(join(ROOT, 'bin/snap.js'), join(folder, 'snap'))
    const script = `source <(snap completion bash)
      COMP_WORDS=(snap restore "$1" --db two); COMP_CWORD=4
      _snap; printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` }
    const out = execFileSync('bash', ['-c', script, 'bash', target], { env, encoding: 'utf8' })
    expect(out).toBe('two\\ words\n')
  })
})
