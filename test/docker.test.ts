import { readFileSync } from 'node:fs'
import { cp, mkdir, readdir, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { linkDependencies } from './helpers/installed-package.ts'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const COMMIT = 'c'.repeat(40)

/** A build of everything, on a machine that runs other tests as well, ms. */
const TIMEOUT = 120_000

interface Instruction {
  readonly word: string
  readonly rest: string
}

/** One image of the build: its files are below `root`. */
interface Stage {
  readonly root: string
  folder: string
  entry: readonly string[]
  command: readonly string[]
  user: string
}

function readDockerfile(): Instruction[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, word = '', rest = ''] = /^(\w+) (.*)$/.exec(line) ?? []
    return { word, rest }
  })
}

/** What the build is given: the names that `.dockerignore` lets through. */
function context(): string[] {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').trimEnd().split('\n')
  expect(lines[0]).toBe('*')
  return lines.slice(1).map((line) => line.replace(/^!/, ''))
}

async function copy(stage: Stage, rest: string, stages: ReadonlyMap<string, Stage>): Promise<void> {
  const [, from, list = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? []
  const names = list.split(' ')
  const target = join(stage.root, resolve(stage.folder, names.pop() ?? ''))
  const source = from === undefined ? ROOT : (stages.get(from)?.root ?? 'no such stage')
  for (const name of names.flatMap((each) => (each === '.' ? context() : [each]))) {
    if (from === undefined) expect(context()).toContain(name)
    const isFolder = names.length > 1 || names[0] === '.' || rest.endsWith('./')
    await cp(join(source, name), isFolder ? join(target, name) : target, { recursive: true })
  }
}

/** Runs the steps of a line, but those that would fetch something: what they fetch is linked. */
async function runSteps(stage: Stage, rest: string): Promise<void> {
  const cwd = join(stage.root, stage.folder)
  for (const step of rest.split(' && ')) {
    if (step.startsWith('npm ci')) {
      if (step.includes('--omit=dev')) await linkDependencies(cwd)
      else await symlink(join(ROOT, 'node_modules'), join(cwd, 'node_modules'))
    } else if (step.includes('npm run')) {
      const env = { ...process.env, COMMIT }
      const { code, stderr } = await run('sh', ['-c', step], { cwd, env })
      expect(code, stderr).toBe(0)
    } else {
      expect(step).toMatch(
        /^(?:apt-get (?:update|install) ?|rm -rf \/var\/lib\/apt\/|npm cache clean)/,
      )
    }
  }
}

async function build(): Promise<Stage> {
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const { word, rest } of readDockerfile()) {
    if (word === 'FROM') {
      const [, name = 'last'] = /^node:22-[\w-]+(?: AS (\w+))?$/.exec(rest) ?? []
      stage = { root: await tempDir('image'), folder: '/', entry: [], command: [], user: 'root' }
      stages.set(name, stage)
    } else if (stage === undefined) throw new Error(`${word} before FROM`)
    else if (word === 'WORKDIR') {
      stage.folder = resolve(stage.folder, rest)
      await mkdir(join(stage.root, stage.folder), { recursive: true })
    } else if (word === 'COPY') await copy(stage, rest, stages)
    else if (word === 'RUN') await runSteps(stage, rest)
    else if (word === 'USER') stage.user = rest
    else if (word === 'ENTRYPOINT') stage.entry = JSON.parse(rest)
    else if (word === 'CMD') stage.command = JSON.parse(rest)
    else expect({ word, rest }).toEqual({ word: 'ARG', rest: 'COMMIT' })
  }
  if (stage === undefined) throw new Error('no FROM')
  return stage
}

it(
  'builds an image that runs the program, as nobody in particular',
  async () => {
    const { root, user, entry, command, folder } = await build()
    expect(user).toBe('node')
    expect((await readdir(join(root, folder))).sort()).toEqual([
      'bin',
      'dist',
      'node_modules',
      'package-lock.json',
      'package.json',
    ])
    const [program = '', script = '', ...args] = entry
    const words = [join(root, script), ...args]
    const help = await run(program, [...words, ...command])
    expect(help.stdout).toContain('Usage: snap ')
    const { stdout, code } = await run(program, [...words, 'version', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      build: { commit: COMMIT, modified: false },
    })
    // What is loaded only when it is needed is there too.
    const bucket = ['list', 's3://bucket-of-nobody']
    const env = { PATH: process.env.PATH, HOME: root, AWS_EC2_METADATA_DISABLED: 'true' }
    const lazy = await run(program, [...words, ...bucket], { env })
    expect(lazy.stderr).toContain('no credentials were found')
  },
  TIMEOUT,
)
