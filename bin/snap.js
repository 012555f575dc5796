#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const dist = new URL('../dist/', import.meta.url)
const has = (path) => existsSync(new URL(path, dist))
// The bundle of the build, or the modules that it is made of.
if (has('program/main.cjs')) {
  const { openProgram } = await import('../dist/cli/code-cache.js')
  await openProgram(fileURLToPath(new URL('program', dist)))
    .load('main.cjs')
    .main()
} else if (has('cli/main.js')) {
  const { main } = await import('../dist/cli/main.js')
  await main()
} else {
  process.stderr.write('error: this checkout is not built\nhint: npm ci && npm run build\n')
  process.exitCode = 1
}
