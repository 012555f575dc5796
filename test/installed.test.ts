import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { violations } from './cli/json-schema.ts'
import { makeSampleData } from './helpers/examples.ts'
import { type InstalledPackage, installPackage } from './helpers/installed-package.ts'
import { launch, type Running, run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'

// Many runs of the program in a row, on a machine that runs other tests as well.
vi.setConfig({ testTimeout: 120_000 })

let installed: InstalledPackage
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  installed = await installPackage()
  env = {
    PATH: [installed.bin, process.env.PATH].join(delimiter),
    XDG_STATE_HOME: join(installed.dir, 'state'),
  }
})

/** Runs a program of the installed package, and expects its exit code. */
async function start(code: number, command: string, ...args: string[]): Promise<string> {
  const ended = await run(command, args, { cwd: installed.dir, env })
  expect(ended.code, `${command} ${args.join(' ')}\n${ended.stderr}`).toBe(code)
  return ended.stdout
}

describe('the package', () => {
  it('has the program, the library with its types, manual, units and pages', () => {
    const wanted = [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin/snap.js',
      'dist/index.d.ts',
      'dist/index.js',
      'dist/man/snap-backup.1',
      'dist/man/snap.1',
      'dist/program/NOTICES.txt',
      'dist/program/main.cjs.code',
      'docs/api.md',
      'docs/schemas/version.json',
      'docs/systemd/influx-snap-backup.service',
      'docs/systemd/influx-snap-backup.timer',
      'docs/systemd/influx-snap-drill.service',
      'docs/systemd/influx-snap-drill.timer',
      'examples/fetch-shards.ts',
    ]
    expect(wanted.filter((name) => !installed.files.includes(name))).toEqual([])
    const folders = new Set(installed.files.map((name) => name.split('/')[0]))
    expect([...folders].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin',
      'dist',
      'docs',
      'examples',
      'package.json',
    ])
  })

  it('has nothing that runs when it is installed, and needs nothing to be built', async () => {
    const { scripts = {} } = JSON.parse(
      await readFile(join(installed.path, 'package.json'), 'utf8'),
    )
    const names = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare']
    expect(names.filter((name) => name in scripts)).toEqual([])
    const native = /\.(?:node|gyp|c|cc|h|rs|wasm)$/
    expect(installed.files.filter((name) => native.test(name))).toEqual([])
  })

  it('runs under both names', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    expect(await start(0, 'influx-snap', '--version')).toBe(`${version}\n`)
    const document: unknown = JSON.parse(await start(0, 'snap', 'version', '--json'))
    expect(violations('version.json', document)).toEqual([])
    expect(document).toMatchObject({ name: 'influx-snap', version })
  })

  it('backs up, verifies and restores without the packages of development', async () => {
    await makeSampleData(join(installed.dir, 'influx'))
    await start(0, 'snap', 'backup', '--data-dir', 'influx/data', '--db', 'plant', 'sets')
    await start(0, 'snap', 'verify', '--deep', 'sets')
    const args = ['--data-dir', 'restored/data', '--influxd-is-stopped', 'sets']
    await start(0, 'snap', 'restore', ...args)
    await start(0, 'snap', 'diff', 'sets', '--data-dir', 'restored/data')
  })
})

describe('the examples', () => {
  beforeAll(async () => {
    await cp(join(installed.path, 'examples'), join(installed.dir, 'mine'), { recursive: true })
    await mkdir(join(installed.dir, 'node_modules/@types'), { recursive: true })
    for (const name of ['@types/node', 'undici-types']) {
      const types = join(installed.dir, 'node_modules', name)
      await symlink(join(ROOT, 'node_modules', name), types)
    }
    await writeFile(join(installed.dir, 'package.json'), '{ "type": "module" }\n')
    await writeFile(join(installed.dir, 'tsconfig.json'), JSON.stringify(STRICT))
  })

  it('compile against the types of the package, as strictly as can be', async () => {
    const tsc = join(ROOT, 'node_modules/.bin/tsc')
    expect(await start(0, tsc, '-p', 'tsconfig.json')).toBe('')
    const sources = (await readdir(join(installed.dir, 'mine'))).filter((name) =>
      /\.ts$/.test(name),
    )
    expect(sources).toEqual(['fetch-shards.ts', 'folder-server.ts', 'newest-set.ts'])
  })

  it('serve a folder that snap restores into and backs up from', async () => {
    await withFolderServer(async (host) => {
      await start(0, 'snap', 'restore', '--host', host, 'sets')
      await start(0, 'snap', 'backup', '--host', host, 'sets-of-folder')
      await start(0, 'snap', 'diff', 'sets', 'sets-of-folder')
      const files = await readdir(join(installed.dir, 'folder/plant/autogen'), { recursive: true })
      expect(files.filter((name) => name.endsWith('.tsm')).length).toBeGreaterThan(1)
    })
    // What was restored outlives the server.
    await withFolderServer(async (host) => {
      const list = await start(0, 'node', 'mine/fetch-shards.js', host)
      expect(list).toContain('plant: 2 shards, autogen by default\n')
    })
  })

  it('fetch shards as tars, and say what failed', async () => {
    await withFolderServer(async (host) => {
      const said = await start(0, 'node', 'mine/fetch-shards.js', host, 'plant')
      const tars = said.match(/^plant\.\d+\.tar(?=: autogen, points from 20)/gm) ?? []
      expect(tars.length).toBe(2)
      for (const tar of tars) {
        expect(await start(0, 'tar', '-tf', tar)).toMatch(/^plant\/autogen\/\d+\/\d+-\d+\.tsm$/m)
      }
    })
    await start(14, 'node', 'mine/fetch-shards.js', '127.0.0.1:1')
  })

  it('verify the newest set once a week', async () => {
    await start(0, 'snap', 'backup', '--data-dir', 'influx/data', '--db', 'plant', 'weekly')
    expect(await start(0, 'node', 'mine/newest-set.js', 'weekly')).toMatch(/^\w+ is whole\n$/)
    expect(await start(0, 'node', 'mine/newest-set.js', 'weekly')).toMatch(/ was found whole at /)
    await start(10, 'node', 'mine/newest-set.js', 'state')
  })
})

const STRICT = {
  compilerOptions: {
    ...{ target: 'es2023', module: 'nodenext', types: ['node'], strict: true },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ skipLibCheck: false, rootDir: 'mine' },
  },
  include: ['mine'],
}

/** Runs the example over the folder `folder`, on a free port, and stops it in order. */
async function withFolderServer(work: (host: string) => Promise<void>): Promise<void> {
  const server: Running = launch(process.execPath, ['mine/folder-server.js', 'folder', '0'], {
    cwd: installed.dir,
    env,
  })
  try {
    const [, host = ''] = await server.until(/listening on (127\.0\.0\.1:\d+)/)
    await work(host)
  } finally {
    server.kill('SIGTERM')
  }
  expect((await server.finished).code).toBe(0)
  expect((await stat(join(installed.dir, 'folder/meta.db'))).size).toBeGreaterThan(0)
}
