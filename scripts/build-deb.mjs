// Makes a Debian package of a checkout that is built, with all that the program needs but Node:
//
//   npm ci && npm run build && node scripts/build-deb.mjs [--out DIR]
//
// It has the program as influx-snap alone, never as snap, which on Debian and Ubuntu is that of snapd. Needs dpkg-deb, no root.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { SCRIPTS } from '../dist/cli/completion-scripts.js'
import { productionPackages } from './production-packages.mjs'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..')
const NAME = 'influx-snap'
/** Where the shells look for completions that packages bring. */
const COMPLETIONS = {
  bash: `usr/share/bash-completion/completions/${NAME}`,
  zsh: `usr/share/zsh/vendor-completions/_${NAME}`,
  fish: `usr/share/fish/vendor_completions.d/${NAME}.fish`,
}

const { values } = parseArgs({ options: { out: { type: 'string', default: '.' } } })
const { version, description, engines } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
)
const stage = mkdtempSync(join(tmpdir(), 'influx-snap-deb-'))
try {
  addProgram()
  addManual()
  addCompletions()
  addDocs()
  addControl()
  openToAll(stage)
  const file = join(resolve(values.out), `${NAME}_${version}_all.deb`)
  const build = ['--root-owner-group', '-Zzstd', '-z9', '--build', stage, file]
  execFileSync('dpkg-deb', build, { stdio: ['ignore', 'ignore', 'inherit'] })
  console.log(file)
} finally {
  rmSync(stage, { recursive: true, force: true })
}

function addProgram() {
  const lib = place(`usr/lib/${NAME}`)
  for (const name of ['bin', 'dist', 'package.json']) copy(name, join(lib, name))
  rmSync(join(lib, 'dist/man'), { recursive: true })
  for (const path of productionPackages()) copy(path, join(lib, path))
  symlinkSync(`../lib/${NAME}/bin/snap.js`, join(place('usr/bin'), NAME))
}

function addManual() {
  const out = place('usr/share/man/man1')
  const script = join(ROOT, 'scripts/build-man.mjs')
  execFileSync(process.execPath, [script, '--name', NAME, '--out', out])
  for (const name of readdirSync(out)) zip(join(out, name))
}

/** The scripts of `snap completion`, for this name alone: functions of other packages must not be replaced. */
function addCompletions() {
  for (const [shell, path] of Object.entries(COMPLETIONS)) {
    const script = SCRIPTS[shell]
      .replaceAll(/\b_(_?)snap(?=[\s_(])/g, '_$1influx_snap')
      .replaceAll('snap influx-snap', NAME)
      .replace(/^complete -c snap .*\n/m, '')
      // zsh runs the file itself when it first completes the command.
      .replace(/^compdef .*$/m, '_influx_snap "$@"')
    writeFileSync(join(place(dirname(path)), path.slice(path.lastIndexOf('/') + 1)), script)
  }
}

function addDocs() {
  const doc = place(`usr/share/doc/${NAME}`)
  for (const name of ['README.md', 'docs', 'examples']) copy(name, join(doc, name))
  copy('docs/systemd', join(doc, 'examples/systemd'))
  rmSync(join(doc, 'docs/systemd'), { recursive: true })
  copy('LICENSE', join(doc, 'copyright'))
  copy('CHANGELOG.md', join(doc, 'changelog'))
  zip(join(doc, 'changelog'))
}

function addControl() {
  const { DEBFULLNAME = 'The influx-snap authors', DEBEMAIL = 'influx-snap@localhost' } =
    process.env
  const control = [
    ['Package', NAME],
    ['Version', version],
    ['Architecture', 'all'],
    ['Maintainer', `${DEBFULLNAME} <${DEBEMAIL}>`],
    ['Section', 'database'],
    ['Priority', 'optional'],
    ['Depends', `nodejs (${engines.node.replace('>=', '>= ')})`],
    // igzip, with which archives are compressed several times as fast.
    ['Recommends', 'isal'],
    [
      'Description',
      `${description}\n Sets are portable: influxd restore reads them. Each is checked when it is made,\n verified whenever asked, and restored whole or in part.`,
    ],
  ]
  const text = control.map(([field, value]) => `${field}: ${value}\n`).join('')
  writeFileSync(join(place('DEBIAN'), 'control'), text)
}

function place(path) {
  const folder = join(stage, path)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Copies files of the project, but what only developers of a package read or another runtime runs. */
function copy(from, to) {
  const filter = (path) =>
    !/\.[cm]?ts$|\.map$|\/prebuilds$/.test(path) || path.includes('/examples')
  cpSync(join(ROOT, from), to, { recursive: true, dereference: true, filter })
}

function zip(path) {
  writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
  rmSync(path)
}

/** Whatever umask and owner the checkout has, everybody may read what is installed. */
function openToAll(folder) {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    else if (entry.isFile()) chmodSync(path, path.endsWith('/bin/snap.js') ? 0o755 : 0o644)
  }
}
