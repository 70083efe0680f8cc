import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['queue-worker/test/**/*.test.ts'],
    // One embedded stack for the whole run; see the file for how tests reach it.
    globalSetup: ['queue-worker/test/support/global-stack.ts'],
    testTimeout: 240_000,
    hookTimeout: 120_000,
    // Most tests wait for processes and visibility timeouts; more files at once would starve those on two cores.
    maxWorkers: 4,
    reporters: ['default'],
  },
})
