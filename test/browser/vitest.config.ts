import { defineConfig } from 'vitest/config'

/** The suite that needs Chromium. It fails, and says how to get it, where that is missing. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  root,
  test: {
    name: 'browser',
    // Most of the time is waiting for pages.
    maxWorkers: 2,
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/browser/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 300_000,
  },
})
