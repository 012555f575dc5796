// Notes in dist/build.json what commit the build was made from, for `snap version`. Outside a checkout of git nothing is noted.
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

// Sources unpacked somewhere in another project's checkout are not of its commit.
if (git('rev-parse', '--show-toplevel') === root) {
  const commit = git('rev-parse', 'HEAD')
  const modified = git('status', '--porcelain') !== ''
  writeFileSync(target, `${JSON.stringify({ commit, modified })}\n`)
} else {
  rmSync(target, { force: true })
}
