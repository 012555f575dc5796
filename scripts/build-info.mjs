// Notes in dist/build.json what commit the build was made from, for `snap version`: that of the checkout, or the one in
// BUILD_COMMIT where there are the sources alone. Where neither is known nothing is noted.
import { execFileSync } from 'node:child_process'
import { realpathSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = realpathSync(join(dirname(fileURLToPath(import.meta.url)), '..'))
const target = join(root, 'dist/build.json')

function git(...args) {
  try {
    const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }
    return execFileSync('git', args, options).trim()
  } catch {
    return undefined
  }
}

function findBuild() {
  const { BUILD_COMMIT: told = '' } = process.env
  // Sources unpacked somewhere in another project's checkout are not of its commit.
  if (git('rev-parse', '--show-toplevel') === root) {
    return { commit: git('rev-parse', 'HEAD'), modified: git('status', '--porcelain') !== '' }
  }
  return /^[0-9a-f]{40}$/.test(told) ? { commit: told, modified: false } : undefined
}

const build = findBuild()
if (build === undefined) rmSync(target, { force: true })
else writeFileSync(target, `${JSON.stringify(build)}\n`)
