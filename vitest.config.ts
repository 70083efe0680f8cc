import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['queue-worker/test/**/*.test.ts'],
    // One embedded stack for the whole run; see the file for how tests reach it.
    globalSetup: ['queue-worker/test/support/global-stack.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores: more files at once only make each of them slower and the real processes they start time out.
    maxWorkers: 2,
    reporters: ['default'],
  },
})
