import { execFileSync, spawnSync } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeSampleData } from './helpers/examples.ts'
import { run } from './helpers/run.ts'
import { ROOT } from './helpers/sources.ts'
import { tempDir } from './helpers/temp.ts'

const hasDpkg = spawnSync('dpkg-deb', ['--version']).status === 0

describe.skipIf(!hasDpkg)('the Debian package', () => {
  let dir: string
  let file: string
  /** `drwxr-xr-x root/root 0 2026-11-22 21:49 ./usr/bin/`, one line each. */
  let listed: string[]

  beforeAll(async () => {
    dir = await tempDir('deb')
    const args = [join(ROOT, 'scripts/build-deb.mjs'), '--out', dir]
    const { code, stdout, stderr } = await run(process.execPath, args)
    expect(code, stderr).toBe(0)
    file = stdout.trim()
    listed = execFileSync('dpkg-deb', ['-c', file], { encoding: 'utf8' }).trimEnd().split('\n')
    execFileSync('dpkg', ['-x', file, join(dir, 'root')])
  })

  it('says what it needs: Node, and nothing that is built or run on installing', async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    const { stdout } = await run('dpkg-deb', ['-f', file])
    expect(stdout).toContain(`Package: influx-snap\nVersion: ${version}\nArchitecture: all\n`)
    expect(stdout).toContain('\nDepends: nodejs (>= 20.15)\n')
    const { stdout: control } = await run('dpkg-deb', ['--ctrl-tarfile', file])
    expect(control).not.toMatch(/(?:post|pre)(?:inst|rm)/)
  })

  it('has the program under the name that is its own alone', async () => {
    const names = listed.map((line) => line.split(' ./')[1] ?? '')
    expect(names.filter((name) => /^usr\/s?bin\/./.test(name))).toEqual([
      'usr/bin/influx-snap -> ../lib/influx-snap/bin/snap.js',
    ])
    const files = names.filter((name) => name !== '' && !name.endsWith('/'))
    expect(files.filter((name) => !/^usr\/.*influx-snap/.test(name))).toEqual([])
    expect(await readlink(join(dir, 'root/usr/bin/influx-snap'))).toMatch(/^\.\.\//)
  })

  it('belongs to root, is readable by all, and has nothing that only developers need', () => {
    const odd = listed.filter(
      (line) => !/^(?:drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) root\/root /.test(line),
    )
    expect(odd).toEqual([])
    const workshop =
      /influx-snap\/(?:test|src|scripts|node_modules\/(?:typescript|vitest|@biomejs|@types))\//
    expect(listed.filter((line) => workshop.test(line))).toEqual([])
  })

  it('has manual, completion and units', async () => {
    const wanted = [
      'man/man1/influx-snap.1.gz',
      'man/man1/influx-snap-backup.1.gz',
      'bash-completion/completions/influx-snap',
      'zsh/vendor-completions/_influx-snap',
      'fish/vendor_completions.d/influx-snap.fish',
      'doc/influx-snap/copyright',
      'doc/influx-snap/changelog.gz',
      'doc/influx-snap/examples/systemd/influx-snap-backup.service',
    ]
    const names = new Set(listed.map((line) => line.split(' ./')[1] ?? ''))
    expect(wanted.filter((name) => !names.has(`usr/share/${name}`))).toEqual([])
    for (const name of wanted.filter((each) => /completion/.test(each))) {
      const script = await readFile(join(dir, 'root/usr/share', name), 'utf8')
      expect(script).toContain('influx-snap')
      // Neither the command of snapd nor functions of its completion.
      expect(script.replaceAll(/influx.snap/g, '')).not.toMatch(/snap/)
    }
  })

  it('runs: backs up, verifies, completes words', async () => {
    await makeSampleData(join(dir, 'influx'))
    const program = join(dir, 'root/usr/bin/influx-snap')
    const env = { PATH: process.env.PATH, XDG_STATE_HOME: join(dir, 'state') }
    const options = { cwd: dir, env }
    for (const line of [
      'backup --data-dir influx/data --db plant sets',
      'verify sets',
      'export --format parquet --from sets --db plant tables',
    ]) {
      const { code, stderr } = await run(program, line.split(' '), options)
      expect(code, stderr).toBe(0)
    }
    const script = join(dir, 'root/usr/share/bash-completion/completions/influx-snap')
    const words = `COMP_WORDS=(${program} res) COMP_CWORD=1`
    const complete = `. ${script}; ${words}; _influx_snap; echo "\${COMPREPLY[@]}"; complete -p | grep snap`
    const { stdout } = await run('bash', ['-c', complete], options)
    expect(stdout).toBe('restore\ncomplete -o bashdefault -o default -F _influx_snap influx-snap\n')
  })
})
