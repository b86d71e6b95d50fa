import { defineConfig } from 'vitest/config'

/** The store's stress in full: as many crashes, runs and operations as are promised. */
export default defineConfig({
  test: {
    include: ['test/stress/**/*.test.ts'],
    env: { STRESS: 'full' },
    testTimeout: 900_000,
    hookTimeout: 30_000,
    fileParallelism: false,
  },
})
