import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/global-setup.ts'],
    // Random cases take as long as they are many.
    testTimeout: process.env['SLOW'] === '1' ? 600_000 : 30_000,
    hookTimeout: 120_000,
    // What is polled for comes at once, or late on a busy machine: the default is a second.
    expect: { poll: { timeout: 20_000 } },
    // Most tests wait for other processes: two at a time even where there are two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.gen.ts', 'src/tsm/kernels/assembly/**'],
      reporter: ['text-summary', 'json-summary'],
      reportOnFailure: true,
      thresholds: { lines: 97, branches: 92 },
    },
  },
})
