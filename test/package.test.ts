import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, readSources } from './helpers/sources.ts'

interface Manifest {
  readonly version: string
  readonly engines: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly files: readonly string[]
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

interface Locked {
  readonly version: string
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly integrity?: string
  readonly engines?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const lock: { readonly packages: Readonly<Record<string, Locked>> } = JSON.parse(
  readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
)
const locked = Object.entries(lock.packages).filter(([path]) => path !== '')

describe('package.json', () => {
  it('pins every package to one version', () => {
    const pins = { ...manifest.dependencies, ...manifest.devDependencies }
    expect(Object.entries(pins).filter(([, pin]) => !/^\d+\.\d+\.\d+$/.test(pin))).toEqual([])
  })

  it('names exactly the packages that src/ imports', () => {
    const imported = readSources()
      .flatMap(({ imports }) => imports)
      .filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'))
      .map((name) => name.match(/^(?:@[^/]+\/)?[^/]+/)?.[0])
    expect([...new Set(imported)].sort()).toEqual(Object.keys(manifest.dependencies).sort())
  })

  it('offers one program under two names', () => {
    expect(manifest.bin).toEqual({ snap: 'bin/snap.js', 'influx-snap': 'bin/snap.js' })
    accessSync(join(ROOT, 'bin/snap.js'), constants.X_OK)
    expect(readFileSync(join(ROOT, 'bin/snap.js'), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it('packs the program, its types and the licence, and nothing of the workshop', () => {
    const args = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const output = execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8', stdio: 'pipe' })
    const packed: unknown = JSON.parse(output)
    const [pack] = (Array.isArray(packed) ? packed : Object.values(packed ?? {})) as {
      files: { path: string }[]
    }[]
    const paths = (pack?.files ?? []).map(({ path }) => path)
    expect(paths).toEqual(expect.arrayContaining(['package.json', 'bin/snap.js', 'LICENSE']))
    const workshop = /^(?:test|scripts|bench|src|coverage|node_modules|\.)|\.test\.|\.tgz$/
    expect(paths.filter((path) => workshop.test(path))).toEqual([])
  })
})

describe('package-lock.json', () => {
  it('brings nothing that runs a script when a user installs the package', () => {
    const scripts = locked.filter(([, entry]) => entry.hasInstallScript && !entry.dev)
    expect(scripts.map(([path]) => path)).toEqual([])
  })

  it('has the hash of every package and no address', () => {
    expect(locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))).toEqual([])
    expect(locked.filter(([, entry]) => 'resolved' in entry)).toEqual([])
  })

  it('has the packages of every platform, without which npm ci refuses it', () => {
    const missing = locked.flatMap(([, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in lock.packages),
      ),
    )
    expect(missing).toEqual([])
  })
})

describe('the text of the project', () => {
  const files = readdirSync(ROOT, { withFileTypes: true })
    .filter(({ name }) => !['.git', 'node_modules', 'dist', 'coverage'].includes(name))
    .flatMap((entry) => (entry.isDirectory() ? filesUnder(entry.name) : [entry.name]))
    .filter((path) => !path.startsWith('test/fixtures/'))

  it('names no path of a single machine and no package host', () => {
    // Put together here, so that this file does not find itself.
    const words = [
      `/${'work'}/(?:main|shared)`,
      `/${'tmp'}/(?:infl|plan)`,
      `/${'root'}/`,
      `registry${'\\.'}npm`,
    ]
    const pattern = new RegExp(words.join('|'))
    expect(files.filter((path) => pattern.test(readFileSync(join(ROOT, path), 'utf8')))).toEqual([])
  })

  it('has two commands in the README that package.json knows', () => {
    const readme = join(ROOT, 'README.md')
    const text = existsSync(readme) ? readFileSync(readme, 'utf8') : ''
    for (const command of ['npm run demo', 'npm test']) expect(text).toContain(command)
  })
})

function filesUnder(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
}
