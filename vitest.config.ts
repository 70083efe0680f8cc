import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['queue-worker/test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores: more files at once only make each of them slower and the real processes they start time out.
    maxWorkers: 2,
    reporters: ['default'],
  },
})
