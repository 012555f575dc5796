import { mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from './run.ts'
import { ROOT } from './sources.ts'
import { tempDir } from './temp.ts'

/** The package as `npm pack` makes it, unpacked where `npm install` puts it. */
export interface InstalledPackage {
  /** The folder that it is installed for; scripts in it find it by its name. */
  readonly dir: string
  /** `node_modules/influx-snap` in it. */
  readonly path: string
  /** The files of the package, sorted, with `/`. */
  readonly files: readonly string[]
  /** What the program is started by, as npm links it. */
  readonly bin: string
}

/** Packs the checkout, which has to be built, and installs that without asking any registry. */
export async function installPackage(): Promise<InstalledPackage> {
  const dir = await tempDir('installed')
  const path = join(dir, 'node_modules/influx-snap')
  const bin = join(dir, 'node_modules/.bin')
  await mkdir(path, { recursive: true })
  await mkdir(bin)
  const tarball = await pack(dir)
  await succeed('tar', ['-xzf', tarball, '-C', path, '--strip-components=1'])
  const { stdout } = await succeed('tar', ['-tzf', tarball])
  await linkDependencies(dir)
  for (const name of ['snap', 'influx-snap']) {
    await symlink('../influx-snap/bin/snap.js', join(bin, name))
  }
  const files = stdout.trimEnd().split('\n')
  return { dir, path, bin, files: files.map((name) => name.replace(/^package\//, '')).sort() }
}

async function pack(dir: string): Promise<string> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', dir]
  const { stdout } = await succeed('npm', args, ROOT)
  const name = /"filename": "([^"]+\.tgz)"/.exec(stdout)?.[1] ?? ''
  return join(dir, name)
}

async function succeed(command: string, args: readonly string[], cwd?: string) {
  const finished = await run(command, args, cwd === undefined ? {} : { cwd })
  if (finished.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${finished.stderr}`)
  return finished
}

/** Puts the packages that the program needs below a folder, as they are locked, and none of those for development. */
export async function linkDependencies(dir: string): Promise<void> {
  const script = join(ROOT, 'scripts/production-packages.mjs')
  const { stdout } = await succeed(process.execPath, [script])
  for (const path of stdout.trimEnd().split('\n')) {
    // What is inside of another package comes along with it.
    if (path.lastIndexOf('node_modules/') > 0) continue
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await symlink(join(ROOT, path), join(dir, path))
  }
}
