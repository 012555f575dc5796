import type { ChildProcess } from 'node:child_process'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../helpers/sources.ts'
import { violations } from './json-schema.ts'

let place = ''
let bare = ''

/** Builds the program as a user has it, away from the build of the checkout, which other tests may use. */
beforeAll(async () => {
  const cache = join(ROOT, 'node_modules/.cache')
  await mkdir(cache, { recursive: true })
  place = await mkdtemp(join(cache, 'snap-program-'))
  bare = join(place, 'bare')
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const built = spawn(tsc, ['-p', 'tsconfig.build.json', '--outDir', join(place, 'dist')], {
    cwd: ROOT,
    stdio: 'ignore',
  })
  await once(built, 'exit')
  for (const folder of [place, bare]) {
    await cp(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true })
    await cp(join(ROOT, 'package.json'), join(folder, 'package.json'))
  }
}, 120_000)
afterAll(() => rm(place, { recursive: true, force: true }))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function snap(argv: readonly string[], folder = place): Promise<Ended> {
  const words = [join(folder, 'bin/snap.js'), ...argv]
  return new Promise((resolve) => {
    const child = execFile(process.execPath, words, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

describe('bin/snap.js', () => {
  it('shows version and help', async () => {
    expect(await snap(['--version'])).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
    expect(await snap(['--help'])).toMatchObject({ code: 0, stderr: '' })
  })

  it('gives scripts one document', async () => {
    const { code, stdout } = await snap(['version', '--json'])
    expect(code).toBe(0)
    expect(violations('version.json', JSON.parse(stdout))).toEqual([])
  })

  it('ends a wrong line with 2', async () => {
    expect(await snap(['nonsense'])).toMatchObject({ code: 2, stdout: '' })
    expect(await snap([])).toMatchObject({ code: 2, stdout: '' })
  })

  it('does not mind a reader that goes away', async () => {
    const child = spawn(process.execPath, [join(place, 'bin/snap.js'), 'version'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.destroy()
    const text = collect(child.stderr)
    const [code] = await once(child, 'close')
    expect([code, text()]).toEqual([0, ''])
  })

  it.each([['version', '--json'], ['--help'], ['help', 'backup'], ['--version']])(
    'does not take a full disk for success: %s',
    async (...given) => {
      const full = await open('/dev/full', 'w')
      const words = [join(place, 'bin/snap.js'), ...given]
      const child = spawn(process.execPath, words, { stdio: ['ignore', full.fd, 'pipe'] })
      const stderr = collect(child.stderr)
      const [code] = await once(child, 'close')
      await full.close()
      expect(code).toBe(15)
      expect(stderr()).toMatch(/^(?:error: writing the result failed|{.*"E_DESTINATION")/)
    },
  )

  it('says how to build a checkout that is not built', async () => {
    const { code, stderr } = await snap(['--version'], bare)
    expect(code).toBe(1)
    expect(stderr).toContain('npm run build')
  })
})

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.on('data', (chunk) => {
    text += chunk
  })
  return () => text
}

describe('a process that is stopped', () => {
  async function startWaiting(cleanup: number) {
    const program = join(ROOT, 'test/cli/programs/wait.mjs')
    const child = spawn(process.execPath, [program, join(place, 'dist'), String(cleanup)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const stderr = collect(child.stderr)
    await once(child.stdout, 'data')
    return { child, stderr }
  }

  async function end(child: ChildProcess): Promise<unknown> {
    const [code] = await once(child, 'close')
    return code
  }

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 143],
  ] as const)('by %s cleans up and ends with %d', async (signal, code) => {
    const { child, stderr } = await startWaiting(50)
    child.kill(signal)
    expect(await end(child)).toBe(code)
    expect(stderr()).toMatch(/^error: .*\nhint: .*\n$/)
  })

  it('twice does not wait for the clean-up', async () => {
    const { child, stderr } = await startWaiting(600_000)
    child.kill('SIGINT')
    await once(child.stdout ?? child, 'data')
    child.kill('SIGINT')
    expect(await end(child)).toBe(130)
    expect(stderr()).toBe('')
  })
})
