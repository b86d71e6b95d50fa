import { defineConfig } from 'vitest/config'

/** What is heavy, in full: as many crashes, runs and operations as are promised. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/stress/**/*.test.ts'],
    env: { STRESS: 'full' },
    testTimeout: 2_700_000,
    hookTimeout: 30_000,
    fileParallelism: false,
  },
})
