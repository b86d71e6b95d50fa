import { defineConfig } from 'vitest/config'

/** The service and the command line, each run as a process of its own. Needs curl, for the transcript of the README. */
const root = new URL('../../', import.meta.url).pathname

export default defineConfig({
  root,
  resolve: { alias: { 'express-artwork': `${root}src/index.ts` } },
  test: {
    name: 'cli',
    isolate: false,
    setupFiles: ['test/support/setup.ts'],
    include: ['test/cli/**/*.test.ts'],
    // Most of the time is waiting for processes.
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
})
