#!/usr/bin/env node
import { existsSync } from 'node:fs'

// The bundle of the build, or the modules that it is made of.
const entry = ['../dist/program/main.js', '../dist/cli/main.js']
  .map((path) => new URL(path, import.meta.url))
  .find((url) => existsSync(url))
if (entry !== undefined) {
  const { main } = await import(entry.href)
  await main()
} else {
  process.stderr.write('error: this checkout is not built\nhint: npm ci && npm run build\n')
  process.exitCode = 1
}
