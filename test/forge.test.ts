import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const NODES = [20, 22, 24]

const names = readdirSync(join(ROOT, '.github'), { recursive: true, encoding: 'utf8' })
const FILES = names
  .filter((name) => name.endsWith('.yml'))
  .map((name) => posix.join('.github', name))
const WORKFLOWS = FILES.filter((name) => name.includes('/workflows/'))
const FORMS = FILES.filter((name) => /ISSUE_TEMPLATE\/(?!config)/.test(name))

function textOf(name: string): string {
  return readFileSync(join(ROOT, name), 'utf8')
}

/** The parts of a block of YAML that stand below its keys of one indent. */
function partsOf(text: string, indent: number): Map<string, string> {
  const parts = text.split(new RegExp(`^(?= {${indent}}[\\w-]+:)`, 'm'))
  const found = parts.map((part) => [/^ *([\w-]+):/.exec(part)?.[1] ?? '', part] as const)
  return new Map(found.filter(([key]) => key !== ''))
}

const hasYaml = await run('python3', ['-c', 'import yaml']).then(
  ({ code }) => code === 0,
  () => false,
)

describe('the files for the forge', () => {
  it.each(FILES)('%s is laid out as YAML wants it', (name) => {
    const lines = textOf(name).split('\n')
    expect(lines.filter((line) => /\t| $/.test(line))).toEqual([])
    expect(lines.filter((line) => (/^ */.exec(line)?.[0].length ?? 0) % 2 === 1)).toEqual([])
  })

  it.skipIf(!hasYaml)('are read by a parser of YAML', async () => {
    const read = 'import sys, yaml; [yaml.safe_load(open(name)) for name in sys.argv[1:]]'
    const { code, stderr } = await run('python3', ['-c', read, ...FILES], { cwd: ROOT })
    expect(code, stderr).toBe(0)
  })

  it.each(FORMS)('%s asks for what a report needs', (name) => {
    const keys = [...partsOf(textOf(name), 0).keys()]
    expect(keys).toEqual(['name', 'description', 'labels', 'body'])
    expect(textOf(name)).toContain('label: snap version --json')
    const ids = [...textOf(name).matchAll(/^ {4}id: (\w+)$/gm)].map(([, id]) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe.each(WORKFLOWS)('%s', (name) => {
  const text = textOf(name)
  const jobs = partsOf((partsOf(text, 0).get('jobs') ?? '').replace('jobs:\n', ''), 2)

  it('may read, and more only in a job that needs it', () => {
    expect(partsOf(text, 0).get('permissions')).toMatch(/^permissions:\n {2}contents: read\n\n/)
    const more = [...jobs].filter(([, job]) => job.includes('permissions:')).map(([key]) => key)
    expect(more).toEqual(name.endsWith('release.yml') ? ['publish'] : [])
    expect(text.match(/persist-credentials: false/g)?.length).toBe(
      text.match(/actions\/checkout@/g)?.length,
    )
  })

  it('runs once at a time for a branch, and no job for ever', () => {
    expect(partsOf(text, 0).has('concurrency')).toBe(true)
    for (const job of jobs.values()) expect(job).toMatch(/^ {4}timeout-minutes: \d+$/m)
  })

  it('takes actions of others by their commit', () => {
    const uses = [...text.matchAll(/^ *- uses: (.*)$/gm)].map(([, action]) => action)
    expect(uses.length).toBeGreaterThan(0)
    const pinned = /^actions\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
    expect(uses.filter((action) => !pinned.test(action ?? ''))).toEqual([])
  })

  it('runs what there is', () => {
    const { scripts } = JSON.parse(textOf('package.json'))
    const lines = [...text.matchAll(/^ *- run: (.*)$/gm)].map(([, line = '']) => line)
    const run = lines.flatMap((line) => /^npm run ([\w-]+)/.exec(line)?.[1] ?? [])
    expect(run.filter((script) => !(script in scripts))).toEqual([])
    const files = lines.flatMap(
      (line) => /(?:^|node )([.\w][\w.-]*\/[\w.-]+)/.exec(line)?.[1] ?? [],
    )
    for (const file of files) expect(() => textOf(file)).not.toThrow()
  })
})

describe('.github/workflows/ci.yml', () => {
  it('tests every Node that the package is for, the oldest first', () => {
    const { engines } = JSON.parse(textOf('package.json'))
    expect(engines.node).toMatch(new RegExp(`^>=${NODES[0]}\\.`))
    const tested = textOf('.github/workflows/ci.yml').match(/^ +node: \[.*\]$/gm)
    expect(new Set(tested?.map((line) => line.trim()))).toEqual(
      new Set([`node: [${NODES.join(', ')}]`]),
    )
  })
})

describe('the notes of a release', () => {
  const script = join(ROOT, 'scripts/release-notes.mjs')

  it('are refused for a version that package.json or the changelog does not have', async () => {
    const { code, stdout, stderr } = await run(process.execPath, [script, 'v99.0.0'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('tag v99.0.0: package.json has')
  })

  it('are the section of the version', async () => {
    const dir = await tempDir('release')
    await mkdir(join(dir, 'scripts'))
    await cp(script, join(dir, 'scripts/release-notes.mjs'))
    await writeFile(join(dir, 'package.json'), '{ "version": "1.2.0" }')
    const sections = [
      '# Changelog',
      '## [Unreleased]',
      '## [1.2.0] - 2027-01-31',
      '### Added\n\n- A',
      '## [1.1.0] - 2027-01-01',
      '- B',
    ]
    await writeFile(join(dir, 'CHANGELOG.md'), `${sections.join('\n\n')}\n`)
    const { code, stdout } = await run(process.execPath, [
      join(dir, 'scripts/release-notes.mjs'),
      'v1.2.0',
    ])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '### Added\n\n- A\n' })
  })
})

describe('CHANGELOG.md', () => {
  it('keeps to its form', () => {
    const headings = textOf('CHANGELOG.md').match(/^##+ .*$/gm) ?? []
    expect(headings[0]).toBe('## [Unreleased]')
    const form =
      /^(?:## \[(?:Unreleased|\d+\.\d+\.\d+)\](?: - \d{4}-\d\d-\d\d)?|### (?:Added|Changed|Deprecated|Removed|Fixed|Security))$/
    expect(headings.filter((heading) => !form.test(heading))).toEqual([])
  })
})
